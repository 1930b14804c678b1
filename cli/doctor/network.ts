import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { SERVER_NAME } from '../../shared/enrollment.js';
import { ConcordatError } from '../../shared/errors.js';
import { LOADER_OPTIONS } from '../../shared/wire/loader-options.js';
import { TIME_METADATA } from '../../shared/wire/status.js';
import { throughProxy } from '../../site-agent/rpc-channel.js';
import { type HttpProxy, hostAndPort, proxyFor } from '../../site-agent/rpc-proxy.js';
import { type Check, ok, problem, skipped, warning } from './check.js';

const TIMEOUT_MS = 5_000;
/** A clock that is further off lets certificates look expired or not yet valid. */
const SKEW_WARN_MS = 60_000;
const SKEW_PROBLEM_MS = 600_000;

/** The proxy that the agent would take for this address, by its own reading of the environment, without a password in the detail. */
export function proxyCheck(
  address: string,
  env: NodeJS.ProcessEnv,
): { readonly proxy: HttpProxy | null; readonly check: Check } {
  try {
    const proxy = proxyFor(address, env);
    return { proxy, check: ok('proxy', proxy === null ? `none for ${address}` : hostAndPort(proxy)) };
  } catch (error) {
    if (!(error instanceof ConcordatError)) throw error;
    return { proxy: null, check: problem('proxy', error.message, error.hint) };
  }
}

export async function dnsCheck(host: string): Promise<Check> {
  if (net.isIP(host) !== 0) return skipped('name', `${host} is an address`);
  try {
    const found = await lookup(host, { all: true });
    return ok('name', `${host} is ${found.map(({ address }) => address).join(', ')}`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    return problem(
      'name',
      `${host} cannot be looked up (${code})`,
      'Check the name, and whether this host may ask a name server that knows it.',
    );
  }
}

/** Opens a TCP line to the coordinator, through the proxy where there is one. */
export async function portCheck(
  host: string,
  port: number,
  proxy: HttpProxy | null,
): Promise<{ readonly check: Check; readonly socket: net.Socket | null }> {
  const via = proxy === null ? '' : ` through ${proxy.host}:${proxy.port}`;
  try {
    const socket = await dial(proxy?.host ?? host, proxy?.port ?? port);
    if (proxy !== null) {
      const status = await tunnel(socket, `${host}:${port}`, proxy);
      if (!/^HTTP\/1\.[01] 200/.test(status)) {
        socket.destroy();
        const fix = / 407/.test(status)
          ? 'The proxy wants a name and a password: set https_proxy to http://NAME:PASSWORD@HOST:PORT.'
          : `Ask who runs the proxy to allow CONNECT to ${host}:${port}.`;
        return { socket: null, check: problem('port', `the proxy refused: ${status}`, fix) };
      }
    }
    return { socket, check: ok('port', `${host}:${port} is open${via}`) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const fix =
      code === 'ECONNREFUSED'
        ? `Nothing listens there: check the address, and that the coordinator${proxy === null ? '' : ' (or the proxy)'} runs.`
        : `Ask the firewall’s administrator to allow outgoing TCP to ${proxy?.host ?? host}:${proxy?.port ?? port}.`;
    return { socket: null, check: problem('port', `${host}:${port} cannot be reached${via} (${code})`, fix) };
  }
}

function dial(host: string, port: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(Object.assign(new Error('no answer'), { code: 'no answer' })));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

function tunnel(socket: net.Socket, target: string, proxy: HttpProxy): Promise<string> {
  const login =
    proxy.credentials === null
      ? ''
      : `Proxy-Authorization: Basic ${Buffer.from(proxy.credentials).toString('base64')}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
  return new Promise((resolve, reject) => {
    let head = '';
    const timer = setTimeout(() => reject(new Error('the proxy does not answer')), TIMEOUT_MS);
    const read = (bytes: Buffer) => {
      head += bytes.toString('latin1');
      if (!head.includes('\r\n\r\n') && head.length < 8192) return;
      clearTimeout(timer);
      socket.off('data', read);
      resolve(head.split('\r\n')[0]!);
    };
    socket.on('data', read);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error('the proxy closed the connection'));
    });
  });
}

/** The server must show a certificate of the pinned authority; anything else between here and there opens the line. */
export async function tlsCheck(socket: net.Socket, authorityPem: string): Promise<Check> {
  try {
    const secure = await handshake(socket);
    const shown = secure.getPeerX509Certificate();
    const { issuerCertificate } = secure.getPeerCertificate(true);
    const protocol = secure.getProtocol();
    secure.destroy();
    if (shown === undefined)
      return problem('TLS', 'the server shows no certificate', 'Check the address: this is no coordinator.');
    const authority = new X509Certificate(authorityPem);
    if (shown.verify(authority.publicKey) && shown.checkHost(SERVER_NAME) !== undefined)
      return ok('TLS', `${protocol}, certificate by the authority that was pinned at enrollment`);
    const issuer = (shown.issuer || String(issuerCertificate?.subject?.CN ?? 'unknown')).replace(/\n/g, ', ');
    return problem(
      'TLS',
      `the certificate shown was made by "${issuer}", not by the pinned authority`,
      'A proxy or firewall opens TLS here, or this is another server. Ask for an exception for this address; do not add the certificate.',
    );
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return problem(
      'TLS',
      `no TLS 1.3 with what answers there (${code})`,
      'Something other than the coordinator answers on this port, or a device in between does not know TLS 1.3.',
    );
  }
}

function handshake(socket: net.Socket): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = tlsConnect({
      socket,
      servername: SERVER_NAME,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      // Whoever answers is looked at here, and named.
      rejectUnauthorized: false,
    });
    const timer = setTimeout(() => secure.destroy(new Error('no answer')), TIMEOUT_MS);
    secure.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    secure.once('secureConnect', () => {
      clearTimeout(timer);
      secure.on('error', () => undefined);
      resolve(secure);
    });
  });
}

/** Asks grpc.health.v1 whether the coordinator serves, and what time it has. */
export async function healthChecks(
  address: string,
  authorityPem: string,
  nowMs: () => number,
  proxy: HttpProxy | null = null,
): Promise<Check[]> {
  const protos = fileURLToPath(new URL('../../protos', import.meta.url));
  const loaded = loadSync('grpc/health/v1/health.proto', { ...LOADER_OPTIONS, includeDirs: [protos] });
  const Stub = grpc.makeClientConstructor(loaded['grpc.health.v1.Health'] as grpc.ServiceDefinition, 'Health');
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  const target = proxy === null ? address : `dns:${hostAndPort(proxy)}`;
  const stub = new Stub(target, grpc.credentials.createSsl(Buffer.from(authorityPem)), {
    ...throughProxy(proxy, address),
    'grpc.enable_http_proxy': 0,
    'grpc.ssl_target_name_override': SERVER_NAME,
    'grpc.enable_retries': 0,
  }) as unknown as grpc.Client & {
    check(
      request: object,
      options: grpc.CallOptions,
      done: (error: grpc.ServiceError | null) => void,
    ): grpc.ClientUnaryCall;
  };
  try {
    let theirMs = Number.NaN;
    await new Promise<void>((resolve, reject) => {
      const call = stub.check({ service: '' }, { deadline: Date.now() + TIMEOUT_MS }, (error) =>
        error === null ? resolve() : reject(error),
      );
      call.on('metadata', (metadata: grpc.Metadata) => {
        theirMs = Number(metadata.get(TIME_METADATA)[0] ?? Number.NaN);
      });
    });
    return [ok('coordinator', 'serves'), clockCheck(nowMs() - theirMs)];
  } catch (error) {
    const { details, message } = error as grpc.ServiceError;
    return [
      problem(
        'coordinator',
        `does not answer: ${details ?? message}`,
        'The port is open and TLS works, so ask the consortium whether the coordinator is healthy.',
      ),
    ];
  } finally {
    stub.close();
  }
}

/** `skewMs` = own clock minus the coordinator's. */
export function clockCheck(skewMs: number): Check {
  if (!Number.isFinite(skewMs)) return skipped('clock', 'the coordinator did not tell its time');
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const detail =
    seconds < 2
      ? 'agrees with the coordinator’s'
      : `${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the coordinator’s`;
  const fix = 'Let both hosts follow a time server (chrony, systemd-timesyncd).';
  if (Math.abs(skewMs) > SKEW_PROBLEM_MS) return problem('clock', detail, fix);
  return Math.abs(skewMs) > SKEW_WARN_MS ? warning('clock', detail, fix) : ok('clock', detail);
}
