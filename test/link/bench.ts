import http2 from 'node:http2';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { serverIdentity } from '../../coordinator/tls.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';
import { type LineModel, SlowLine } from './slow-line.js';

/**
 * `npm run bench:link`: one blob up and one down through a slow line in user space, by the product's own channel, against
 * what the same line gives a bare TLS pipe (which has no windows above TCP, and TCP here never sees the delay). Passes
 * where each way reaches half of it. The default HTTP/2 window stands beside it for comparison.
 */
const NEEDED = 0.5;
const LINES: readonly { readonly name: string; readonly megabytes: number; readonly model: LineModel }[] = [
  { name: '40 ms, 300 Mbit/s', megabytes: 96, model: { delayMs: 20, bytesPerSecond: 37.5e6 } },
  { name: '100 ms, 300 Mbit/s', megabytes: 96, model: { delayMs: 50, bytesPerSecond: 37.5e6 } },
  { name: '200 ms, 300 Mbit/s', megabytes: 96, model: { delayMs: 100, bytesPerSecond: 37.5e6 } },
  {
    name: '100 ms, 100 Mbit/s, stalls of 250 ms every 8 MB',
    megabytes: 48,
    model: { delayMs: 50, bytesPerSecond: 12.5e6, loss: { seed: 1, everyBytes: 8e6, stallMs: 250 } },
  },
  { name: '200 ms, 20 Mbit/s', megabytes: 8, model: { delayMs: 100, bytesPerSecond: 2.5e6 } },
];

interface Rates {
  readonly up: number;
  readonly down: number;
}

async function timed(bytes: number, action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return bytes / (performance.now() - start) / 1000;
}

function blobOf(bytes: number, seed: number): Uint8Array {
  const blob = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) blob[i] = Math.imul(i + seed, 2654435761) >>> 24;
  return blob;
}

/** The pipe itself: bytes one way, and one byte back when all have come. */
async function bareTls(loopback: Loopback, model: LineModel, bytes: number): Promise<Rates> {
  const identity = await serverIdentity(loopback.coordinatorDir, Date.now());
  const blob = blobOf(bytes, 7);
  const server = tls.createServer({ key: identity.privateKeyPem, cert: identity.certificatePem }, (socket) => {
    let arrived = 0;
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      arrived += data.length;
      if (arrived === bytes) socket.write('.');
      // The byte after it asks for the way back.
      else if (arrived === bytes + 1) socket.write(blob);
    });
  });
  const port = await listen(server);
  const line = await SlowLine.open(() => ({ host: '127.0.0.1', port }), model);
  const socket = tls.connect({ port: line.port, host: '127.0.0.1', rejectUnauthorized: false });
  await new Promise<void>((resolve) => socket.once('secureConnect', resolve));
  socket.setNoDelay();
  let arrived = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let done: () => void = () => undefined;
  socket.on('data', (data: Buffer) => {
    arrived += data.length;
    if (arrived >= wanted) done();
  });
  const come = (count: number) =>
    new Promise<void>((resolve) => {
      arrived = 0;
      wanted = count;
      done = resolve;
    });
  const up = await timed(bytes, () => {
    const answered = come(1);
    socket.write(blob);
    return answered;
  });
  const down = await timed(bytes, () => {
    const answered = come(bytes);
    socket.write('?');
    return answered;
  });
  socket.destroy();
  line.close();
  server.close();
  return { up, down };
}

/** HTTP/2 as Node makes it, with its window of 64 KiB: what the channel would be without its settings. */
async function defaultHttp2(loopback: Loopback, model: LineModel, bytes: number): Promise<Rates> {
  const identity = await serverIdentity(loopback.coordinatorDir, Date.now());
  const server = http2.createSecureServer({ key: identity.privateKeyPem, cert: identity.certificatePem });
  const blob = blobOf(bytes, 8);
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200 });
    if (headers[':method'] === 'GET') stream.end(blob);
    else stream.resume().on('end', () => stream.end('.'));
  });
  const port = await listen(server);
  const line = await SlowLine.open(() => ({ host: '127.0.0.1', port }), model);
  const session = http2.connect(`https://127.0.0.1:${line.port}`, { rejectUnauthorized: false });
  await new Promise<void>((resolve) => session.once('connect', () => resolve()));
  const ask = (method: string, body?: Uint8Array) =>
    new Promise<void>((resolve) => {
      const stream = session.request({ ':method': method, ':path': '/' });
      stream.resume().on('end', resolve);
      stream.end(body);
    });
  const up = await timed(bytes, () => ask('POST', blob));
  const down = await timed(bytes, () => ask('GET'));
  session.destroy();
  line.close();
  server.close();
  return { up, down };
}

async function product(
  loopback: Loopback,
  site: Awaited<ReturnType<Loopback['join']>>,
  model: LineModel,
  bytes: number,
) {
  const line = await SlowLine.open(() => ({ host: '127.0.0.1', port: loopback.server.port }), model);
  const events = new RecordingEvents();
  const link = loopback.connect(site, events, { address: `127.0.0.1:${line.port}` });
  await until(() => events.log.includes('connected'), 'it is in');
  // Another blob for every line: what the coordinator has already is not sent again.
  const blob = blobOf(bytes, ++blobs);
  let hash = '';
  const up = await timed(bytes, async () => {
    hash = await link.upload(blob);
  });
  const down = await timed(bytes, () => link.download(hash));
  await link.close();
  line.close();
  return { up, down };
}

function listen(server: net.Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

const loopback = await Loopback.start();
const site = await loopback.join('alder');
await loopback.sign();
const quick = process.argv.includes('--quick');
let blobs = 100;
const rows = [];
let failed = 0;
process.stdout.write('MB/s up and down; ratio = Concordat / bare TLS pipe through the same line\n\n');
process.stdout.write(
  `${'line (round trip)'.padEnd(50)} ${['bare TLS', 'HTTP/2 default', 'Concordat', 'ratio'].map((name) => name.padStart(16)).join('')}\n`,
);
for (const { name, megabytes, model } of quick ? LINES.slice(2, 3) : LINES) {
  const bytes = megabytes * 1_000_000;
  const bare = await bareTls(loopback, model, bytes);
  const small = await defaultHttp2(loopback, model, Math.min(bytes, 2_000_000));
  const ours = await product(loopback, site, model, bytes);
  const ratio = { up: ours.up / bare.up, down: ours.down / bare.down };
  const passed = ratio.up >= NEEDED && ratio.down >= NEEDED;
  if (!passed) failed++;
  rows.push({ name, megabytes, bare, small, ours, ratio, passed });
  const pair = ({ up, down }: Rates, digits: number) => `${up.toFixed(digits)} / ${down.toFixed(digits)}`.padStart(16);
  process.stdout.write(
    `${name.padEnd(50)} ${pair(bare, 1)}${pair(small, 1)}${pair(ours, 1)}${pair(ratio, 2)}  ${passed ? 'pass' : 'FAIL'}\n`,
  );
}
process.stdout.write(
  `\n${rows.length - failed} of ${rows.length} lines pass: at least ${NEEDED} of the bare pipe each way\n`,
);
await loopback.stop();
process.exitCode = failed === 0 ? 0 : 1;
