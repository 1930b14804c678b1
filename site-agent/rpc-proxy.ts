import http from 'node:http';
import net from 'node:net';
import { ConcordatError } from '../shared/errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** An HTTP proxy that is asked to CONNECT; sites reach the coordinator through it where the hospital demands one. */
export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** `user:password`, decoded; null where the URL has none. */
  readonly credentials: string | null;
}

/** Longest wait for a proxy's answer when it is asked why a connection failed. */
const PROBE_TIMEOUT_MS = 5_000;

/**
 * The proxy for a coordinator at `address` (host:port) by https_proxy and no_proxy, in lower or upper case; null where
 * it is dialled directly. grpc-js has its own reading of these variables: it knows them in lower case only, and takes
 * an empty entry in no_proxy (a comma at the end) for every host. Throws WIRE_PROXY_INVALID.
 */
export function proxyFor(address: string, environment: Environment): HttpProxy | null {
  const text = environment['https_proxy'] || environment['HTTPS_PROXY'] || environment['http_proxy'];
  if (text === undefined || text === '') return null;
  if (bypassed(address, environment['no_proxy'] || environment['NO_PROXY'] || '')) return null;
  let url: URL;
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`);
    const { username, password } = url;
    const credentials = username === '' ? null : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    if (url.protocol !== 'http:' || url.hostname === '') throw new TypeError(`the scheme is ${url.protocol}`);
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 80 : Number(url.port), credentials };
  } catch (error) {
    // The URL may hold a password, so it is not repeated.
    throw new ConcordatError('WIRE_PROXY_INVALID', 'https_proxy is not the URL of an HTTP proxy', { cause: error });
  }
}

export function hostAndPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Entries of no_proxy: `*`, a host, a domain (with or without a leading dot), either with a port, or an IP range. */
function bypassed(address: string, list: string): boolean {
  const at = address.lastIndexOf(':');
  const host = address
    .slice(0, at)
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  const port = address.slice(at + 1);
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      if (entry.includes('/')) return inRange(host, entry);
      const [, name, onlyPort] = /^(.*?)(?::(\d+))?$/.exec(net.isIPv6(entry) ? `${entry}` : entry)!;
      const domain = net.isIPv6(entry) ? entry : name!.replace(/^\*?\./, '').replace(/^\[|\]$/g, '');
      if (!net.isIPv6(entry) && onlyPort !== undefined && onlyPort !== port) return false;
      return host === domain || host.endsWith(`.${domain}`);
    });
}

function inRange(host: string, entry: string): boolean {
  const family = net.isIP(host);
  const [base = '', bits = ''] = entry.split('/');
  if (family === 0 || net.isIP(base) !== family || !/^\d+$/.test(bits)) return false;
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  const range = new net.BlockList();
  try {
    range.addSubnet(base, Number(bits), kind);
  } catch {
    return false;
  }
  return range.check(host, kind);
}

/**
 * Asks the proxy once more and says what stands in the way: grpc-js does not tell. Null where the proxy connects (the
 * fault lies behind it). Never rejects.
 */
export function proxyFault(proxy: HttpProxy, address: string): Promise<ConcordatError | null> {
  const name = hostAndPort(proxy);
  return new Promise((resolve) => {
    const headers: Record<string, string> = { Host: address };
    if (proxy.credentials !== null)
      headers['Proxy-Authorization'] = `Basic ${Buffer.from(proxy.credentials).toString('base64')}`;
    const request = http.request({ ...proxy, method: 'CONNECT', path: address, headers, timeout: PROBE_TIMEOUT_MS });
    const answered = (fault: ConcordatError | null) => {
      request.destroy();
      resolve(fault);
    };
    request.once('connect', (answer, socket) => {
      socket.destroy();
      answered(answer.statusCode === 200 ? null : refusal(name, address, answer.statusCode ?? 0));
    });
    // A server that is no proxy answers CONNECT like any other request.
    request.once('response', (answer) => answered(refusal(name, address, answer.statusCode ?? 0)));
    request.once('timeout', () => answered(unreachable(name, 'it does not answer')));
    request.on('error', (error) => resolve(unreachable(name, error.message)));
    request.end();
  });
}

function refusal(proxy: string, address: string, status: number): ConcordatError {
  const hint =
    status === 407
      ? 'The proxy wants a name and a password: set https_proxy=http://USER:PASSWORD@HOST:PORT (special characters percent-encoded).'
      : status === 403 || status === 405
        ? `Ask who runs the proxy to allow CONNECT to ${address}, or name the coordinator in no_proxy if it can be reached directly.`
        : status >= 500
          ? `The proxy itself cannot reach ${address}: check the address of the coordinator, then ask who runs the proxy.`
          : undefined;
  const message = `the proxy ${proxy} refused a connection to ${address} with status ${status}`;
  return new ConcordatError('WIRE_PROXY_REFUSED', message, hint === undefined ? {} : { hint });
}

function unreachable(proxy: string, why: string): ConcordatError {
  return new ConcordatError('WIRE_UNREACHABLE', `the proxy ${proxy} cannot be reached: ${why}`, {
    hint: 'Check https_proxy, and whether the proxy runs.',
  });
}
