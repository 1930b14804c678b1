import http from 'node:http';
import net from 'node:net';

export interface ConnectProxy {
  readonly port: number;
  /** host:port of every tunnel that was opened, in order. */
  readonly tunnels: string[];
  /** Status of every request that was refused. */
  readonly refusals: number[];
  close(): void;
}

/** An HTTP proxy that knows CONNECT: with `credentials` it wants them (407), with `deny` it opens nothing (that status). */
export async function connectProxy(
  options: { readonly credentials?: string; readonly deny?: number } = {},
): Promise<ConnectProxy> {
  const tunnels: string[] = [];
  const refusals: number[] = [];
  const sockets = new Set<net.Socket>();
  const server = http.createServer((_, answer) => answer.writeHead(405).end());
  server.on('connect', (request: http.IncomingMessage, from: net.Socket, head: Buffer) => {
    from.on('error', () => undefined);
    const refuse = (status: number) => {
      refusals.push(status);
      from.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n\r\n`);
    };
    const wanted =
      options.credentials === undefined ? undefined : `Basic ${Buffer.from(options.credentials).toString('base64')}`;
    if (wanted !== undefined && request.headers['proxy-authorization'] !== wanted) return refuse(407);
    if (options.deny !== undefined) return refuse(options.deny);
    const url = new URL(`tcp://${request.url}`);
    const to = net.connect(Number(url.port), url.hostname, () => {
      tunnels.push(String(request.url));
      from.write('HTTP/1.1 200 Connection established\r\n\r\n');
      to.write(head);
      from.pipe(to).pipe(from);
    });
    sockets.add(to);
    to.on('error', () => from.destroy());
    from.on('close', () => to.destroy());
    to.on('close', () => from.destroy());
  });
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    tunnels,
    refusals,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
