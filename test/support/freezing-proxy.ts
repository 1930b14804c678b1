import net from 'node:net';

/** A line that can be frozen (nothing passes, nothing closes) or cut once after a number of bytes. */
export async function freezingProxy(target: number) {
  let frozen = false;
  let cutAt = Number.POSITIVE_INFINITY;
  const state = { up: 0, down: 0, broken: 0 };
  const sockets = new Set<net.Socket>();
  const server = net.createServer((from) => {
    const to = net.connect(target, '127.0.0.1');
    sockets.add(from).add(to);
    const pass = (source: net.Socket, sink: net.Socket, way: 'up' | 'down') =>
      source.on('data', (data) => {
        if (frozen) return;
        state[way] += data.length;
        if (state.up + state.down > cutAt) {
          cutAt = Number.POSITIVE_INFINITY;
          state.broken++;
          from.destroy();
          to.destroy();
        } else sink.write(data);
      });
    pass(from, to, 'up');
    pass(to, from, 'down');
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.on('close', () => frozen || other.destroy());
      one.on('error', () => undefined);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    get up() {
      return state.up;
    },
    get down() {
      return state.down;
    },
    get broken() {
      return state.broken;
    },
    freeze: () => {
      frozen = true;
    },
    breakAfter: (bytes: number) => {
      cutAt = state.up + state.down + bytes;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
