import type { Http2SecureServer } from 'node:http2';
import grpc from '@grpc/grpc-js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS, type Limits } from '../shared/limits.js';
import type { Roster } from '../shared/roster.js';
import type { CoordinatorHandlers, CoordinatorLink } from '../shared/transport.js';
import type { VersionRange } from '../shared/versions.js';
import { bundleDetail, bundleList, bundleQuery, enrollRequest, enrollResponse } from '../shared/wire/codecs.js';
import { TIME_METADATA } from '../shared/wire/status.js';
import { EnrollmentTries } from './enrollment-tries.js';
import { Access } from './rpc-access.js';
import { addressOf, Door, type DoorLoad, networkOf, type Refusal } from './rpc-door.js';
import { addReflection } from './rpc-reflection.js';
import { loadServices, unary } from './rpc-services.js';
import { ControlStreams } from './rpc-stream.js';
import { transferService } from './rpc-transfer.js';
import type { TlsIdentity } from './tls.js';

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly identity: TlsIdentity;
  /** The roster to go by, asked anew for every call. */
  readonly roster: () => Roster | null;
  readonly handlers: CoordinatorHandlers;
  readonly programVersion: string;
  /** What this program speaks, unless a test says otherwise. */
  readonly protocol?: VersionRange;
  /** Told of what was not let in, for the log; repetitions are counted, not repeated. */
  readonly refused?: (refusal: Refusal) => void;
  /** Other limits than the program's, for tests. */
  readonly limits?: Limits;
  readonly nowMs?: () => number;
  readonly heartbeatIntervalMs?: number;
  readonly livenessTimeoutMs?: number;
}

export interface RunningServer extends CoordinatorLink {
  readonly port: number;
  /** Call after the roster changed: ends the connections of sites that are no longer active, or have another certificate. */
  rosterChanged(): void;
  /** Connections and streams that are held at this moment. */
  readonly load: DoorLoad;
}

/**
 * One port, TLS 1.3 only, for all services. Client certificates are asked for and not insisted on by TLS, because a
 * stranger with a token must be able to enroll; every other service asks `Access` first. Throws WIRE_PORT_IN_USE.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { handlers, identity } = options;
  // grpc-js writes to stderr by itself; every failure reaches the caller as an error of the table instead.
  if (process.env['GRPC_VERBOSITY'] === undefined) grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  const nowMs = options.nowMs ?? Date.now;
  const door = new Door(options.roster, options.refused ?? (() => undefined), options.limits);
  const refused = (address: string, error: unknown) =>
    door.refuse(
      address,
      error instanceof ConcordatError ? error.code : 'INTERNAL_BUG',
      error instanceof Error ? error.message : String(error),
    );
  const access = new Access(options.roster, nowMs, refused);
  const tries = new EnrollmentTries(nowMs);
  const streams = new ControlStreams(access, handlers, {
    programVersion: options.programVersion,
    ...(options.protocol === undefined ? {} : { protocol: options.protocol }),
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? LIMITS.heartbeatIntervalMs,
    livenessTimeoutMs: options.livenessTimeoutMs ?? LIMITS.livenessTimeoutMs,
    rosterVersion: () => options.roster()?.version ?? 0,
    refused,
    // Silence is measured by a clock that nobody sets.
    nowMs: options.nowMs ?? (() => performance.now()),
  });
  const server = new grpc.Server({
    'grpc.max_receive_message_length': LIMITS.controlMessageBytesMax,
    'grpc.max_send_message_length': LIMITS.controlMessageBytesMax,
    'grpc.keepalive_time_ms': LIMITS.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': LIMITS.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
  });
  configureHttp2(server, (http2) => {
    access.watch(http2);
    door.watch(http2);
  });

  const services = loadServices();
  server.addService(services.federation, streams.service());
  server.addService(
    services.transfer,
    transferService(access, handlers, (site) => streams.heard(site), refused, options.livenessTimeoutMs),
  );
  server.addService(services.enrollment, {
    enroll: unary(async (call) => {
      const address = addressOf(call);
      try {
        const request = enrollRequest.decode(call.request, 'EnrollRequest');
        return enrollResponse.encode(await tries.tried(networkOf(address), () => handlers.enroll(request)));
      } catch (error) {
        refused(address, error);
        throw error;
      }
    }),
  });
  server.addService(services.registry, {
    listBundles: unary((call) => {
      access.site(call);
      return bundleList.encode({ bundles: handlers.listBundles() });
    }),
    getBundle: unary((call) => {
      access.site(call);
      const query = bundleQuery.decode(call.request, 'GetBundleRequest');
      const found = handlers.getBundle(query);
      if (found === null)
        throw new ConcordatError('STORE_BLOB_MISSING', `there is no published bundle "${query.name}"`);
      return bundleDetail.encode(found);
    }),
  });
  server.addService(services.health, healthService(nowMs));
  addReflection(server, access);

  const key = { private_key: Buffer.from(identity.privateKeyPem), cert_chain: Buffer.from(identity.certificatePem) };
  const credentials = grpc.ServerCredentials.createSsl(Buffer.from(identity.authorityPem), [key], true);
  const port = await bind(server, options, credentials).catch((error: unknown) => {
    streams.stop();
    door.close();
    throw error;
  });
  return {
    port,
    send: (site, message) => streams.send(site, message),
    isConnected: (site) => streams.isConnected(site),
    disconnect: (site, reason) => streams.end(site, reason),
    get load() {
      return door.load;
    },
    rosterChanged: () => {
      door.rosterChanged();
      streams.recheck();
    },
    close: async () => {
      streams.stop();
      door.close();
      await new Promise<void>((resolve) => {
        // Streams were told; whatever still runs after a moment is cut, also lines that will never close by themselves.
        const timer = setTimeout(() => {
          server.forceShutdown();
          door.cut();
          resolve();
        }, 200);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

/**
 * Options that grpc-js has no name for. It offers no TLS version, lets TLS end a connection without a certificate, and
 * ignores `grpc-node.flow_control_window` on the server (grpc-node PR 3058), so that uploads over 40 ms crawl at 1 MB/s.
 * The window of a stream is large for everybody; the connection's, which holds for all its streams, the door widens for sites.
 */
function configureHttp2(server: grpc.Server, created: (http2: Http2SecureServer) => void): void {
  const inside = server as unknown as {
    commonServerOptions: Record<string, unknown>;
    createHttp2Server(credentials: grpc.ServerCredentials): Http2SecureServer;
  };
  Object.assign(inside.commonServerOptions, {
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
    settings: {
      ...(inside.commonServerOptions['settings'] as object | undefined),
      initialWindowSize: LIMITS.flowControlWindowBytes,
      maxConcurrentStreams: LIMITS.streamsPerConnectionMax,
    },
  });
  const original = inside.createHttp2Server.bind(server);
  inside.createHttp2Server = (credentials) => {
    const http2 = original(credentials);
    created(http2);
    return http2;
  };
}

function bind(server: grpc.Server, options: ServerOptions, credentials: grpc.ServerCredentials): Promise<number> {
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${options.port}`, credentials, (error, port) => {
      if (error === null) return resolve(port);
      server.forceShutdown();
      const code = /EADDRINUSE/.test(error.message) ? 'WIRE_PORT_IN_USE' : 'WIRE_UNREACHABLE';
      reject(
        new ConcordatError(code, `${host}:${options.port} cannot be listened on: ${error.message}`, { cause: error }),
      );
    });
  });
}

/**
 * grpc.health.v1: open to everyone, for load balancers and monitors; it says that the process serves, and its clock, by
 * which `site doctor` finds a clock that is wrong.
 */
function healthService(nowMs: () => number): grpc.UntypedServiceImplementation {
  return {
    check: unary((call) => {
      const metadata = new grpc.Metadata();
      metadata.set(TIME_METADATA, String(nowMs()));
      call.sendMetadata(metadata);
      const asked = (call.request as { service?: string }).service ?? '';
      return { status: asked === '' || asked.startsWith('concordat.v1.') ? 'SERVING' : 'SERVICE_UNKNOWN' };
    }),
    watch: (call: grpc.ServerWritableStream<unknown, unknown>) => void call.write({ status: 'SERVING' }),
  };
}
