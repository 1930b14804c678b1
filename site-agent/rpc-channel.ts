import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { SERVER_NAME } from '../shared/enrollment.js';
import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';
import { LOADER_OPTIONS, PROTO_FILES } from '../shared/wire/loader-options.js';
import { CODE_METADATA, errorOfStatus } from '../shared/wire/status.js';
import { type HttpProxy, hostAndPort, proxyFault, proxyFor } from './rpc-proxy.js';

type Unary = (
  request: object,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, answer?: unknown) => void,
) => grpc.ClientUnaryCall;

/** The methods of the services that a site calls, as grpc-js makes them from the loaded files. */
export interface Stubs {
  readonly federation: grpc.Client & { connect(): grpc.ClientDuplexStream<unknown, unknown> };
  readonly transfer: grpc.Client & {
    stat: Unary;
    upload(done: (error: grpc.ServiceError | null, answer?: unknown) => void): grpc.ClientWritableStream<unknown>;
    download(request: object): grpc.ClientReadableStream<unknown>;
  };
  readonly enrollment: grpc.Client & { enroll: Unary };
  readonly registry: grpc.Client & { listBundles: Unary; getBundle: Unary };
}

export interface ChannelOptions {
  /** host:port */
  readonly address: string;
  /** PEM: the only authority that is trusted. */
  readonly authorityPem: string;
  /** Absent while enrolling. */
  readonly certificate?: { readonly certificatePem: string; readonly privateKeyPem: string };
}

let loaded: ReturnType<typeof loadSync> | undefined;

/**
 * One channel to the coordinator for all services. The server must show a certificate by the pinned authority under the
 * fixed name, whatever the address is, so moving the coordinator needs no new certificates. An HTTP proxy is taken from
 * https_proxy and no_proxy. Throws WIRE_PROXY_INVALID.
 */
export function openStubs(options: ChannelOptions): { readonly stubs: Stubs; readonly close: () => void } {
  const { address, authorityPem, certificate } = options;
  // grpc-js writes to stderr by itself; every failure reaches the caller as an error of the table instead.
  if (process.env['GRPC_VERBOSITY'] === undefined) grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  const credentials = grpc.credentials.createSsl(
    Buffer.from(authorityPem),
    certificate === undefined ? null : Buffer.from(certificate.privateKeyPem),
    certificate === undefined ? null : Buffer.from(certificate.certificatePem),
  );
  const proxy = proxyFor(address, process.env);
  const channel = new grpc.Channel(proxy === null ? address : `dns:${hostAndPort(proxy)}`, credentials, {
    ...throughProxy(proxy, address),
    'grpc.enable_http_proxy': 0,
    // The address may change behind its name. TXT records of that name could carry settings for calls: nobody asks.
    'grpc.dns_min_time_between_resolutions_ms': LIMITS.reconnectFirstMs,
    'grpc.service_config_disable_resolution': 1,
    'grpc.ssl_target_name_override': SERVER_NAME,
    'grpc.default_authority': SERVER_NAME,
    'grpc-node.flow_control_window': LIMITS.flowControlWindowBytes,
    'grpc.max_receive_message_length': LIMITS.controlMessageBytesMax,
    'grpc.max_send_message_length': LIMITS.controlMessageBytesMax,
    'grpc.keepalive_time_ms': LIMITS.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': LIMITS.keepaliveTimeoutMs,
    'grpc.initial_reconnect_backoff_ms': LIMITS.reconnectFirstMs,
    'grpc.max_reconnect_backoff_ms': LIMITS.reconnectMaxMs,
    // Trying again is decided here, with what each call means; grpc-js itself must not repeat calls.
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
  });
  const includeDirs = [fileURLToPath(new URL('../protos', import.meta.url))];
  loaded ??= loadSync([...PROTO_FILES], { ...LOADER_OPTIONS, includeDirs });
  const services = loaded;
  const stub = (name: string): unknown => {
    const Stub = grpc.makeClientConstructor(services[`concordat.v1.${name}`] as grpc.ServiceDefinition, name);
    return new Stub(address, credentials, { channelOverride: channel });
  };
  const stubs = {
    federation: stub('Federation'),
    transfer: stub('Transfer'),
    enrollment: stub('Enrollment'),
    registry: stub('Registry'),
  } as Stubs;
  return { stubs, close: () => channel.close() };
}

/** Channel options that dial `address` through the proxy. */
export function throughProxy(proxy: HttpProxy | null, address: string): Record<string, string> {
  if (proxy === null) return {};
  const { credentials } = proxy;
  return {
    'grpc.http_connect_target': `dns:${address}`,
    ...(credentials === null ? {} : { 'grpc.http_connect_creds': credentials }),
  };
}

/** Why a coordinator that does not answer cannot be reached, where a proxy stands in the way and says more. */
export async function explained(address: string, error: unknown): Promise<unknown> {
  if (!(error instanceof ConcordatError) || error.code !== 'WIRE_UNREACHABLE') return error;
  const proxy = proxyFor(address, process.env);
  return proxy === null ? error : ((await proxyFault(proxy, address)) ?? error);
}

export function callUnary(method: Unary, stub: grpc.Client, request: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + LIMITS.unaryDeadlineMs;
    method.call(stub, request, { deadline }, (error, answer) =>
      error === null ? resolve(answer) : reject(errorOf(error)),
    );
  });
}

/** What grpc-js reports, as an error of the table. */
export function errorOf(error: grpc.ServiceError): ConcordatError {
  const code = error.metadata?.get(CODE_METADATA)[0];
  return errorOfStatus(error.code, error.details ?? error.message, typeof code === 'string' ? code : undefined, error);
}
