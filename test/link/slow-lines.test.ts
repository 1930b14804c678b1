import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../shared/limits.js';
import { sha256 } from '../../shared/memory-stores.js';
import type { SiteLink } from '../../shared/transport.js';
import type { Enrolled } from '../../site-agent/keys.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';
import { type LineModel, SlowLine } from './slow-line.js';

/** The channel as the product configures it, over lines that are long, narrow, lossy or broken. Rates: `npm run bench:link`. */
let loopback: Loopback;
let alder: Enrolled;
let line: SlowLine;
let link: SiteLink;
let events: RecordingEvents;

beforeAll(async () => {
  loopback = await Loopback.start({ heartbeatIntervalMs: 50, livenessTimeoutMs: 1_000 });
  alder = await loopback.join('alder');
  await loopback.sign();
});
afterEach(async () => {
  await link.close();
  line.close();
});
afterAll(() => loopback.stop());

const target = () => ({ host: '127.0.0.1', port: loopback.server.port });
const address = () => `127.0.0.1:${line.port}`;

async function connectOver(model: LineModel, livenessTimeoutMs = 1_000) {
  line = await SlowLine.open(target, model);
  events = new RecordingEvents();
  link = loopback.connect(alder, events, { address: address(), livenessTimeoutMs });
  await until(() => events.log.includes('connected'), 'it is in');
}

function blob(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Math.imul(i + seed, 2654435761) >>> 24;
  return bytes;
}

describe('a long line', () => {
  /** With w bytes in flight a round trip of d seconds gives w / d bytes a second: 16 MiB at 200 ms is 84 MB/s. */
  const ENOUGH = 0.9 * LIMITS.flowControlWindowBytes;

  it('carries a whole window each way before the first byte must have arrived', async () => {
    await connectOver({ delayMs: 40 }, 30_000);
    const bytes = blob(24 * 1024 * 1024, 1);
    const uploaded = link.upload(bytes);
    await until(() => line.inFlight('up') > 100_000, 'the upload has begun');
    line.freeze();
    await until(() => line.inFlight('up') > ENOUGH, 'a window is on its way up', 20_000);
    line.thaw();
    const hash = await uploaded;

    const downloaded = link.download(hash);
    await until(() => line.inFlight('down') > 100_000, 'the download has begun');
    line.freeze();
    await until(() => line.inFlight('down') > ENOUGH, 'a window is on its way down', 20_000);
    line.thaw();
    expect(sha256(await downloaded)).toBe(hash);
  });
});

describe('a line that breaks again and again', () => {
  it('is no dead line: a transfer goes on where it stopped, more often than it may try in vain', async () => {
    const times = LIMITS.transferTriesMax + 3;
    await connectOver({ delayMs: 5, bytesPerSecond: 20_000_000 }, 30_000);
    const bytes = blob((times + 1) * 1_000_000, 2);
    for (const way of ['up', 'down'] as const) {
      const before = line.delivered[way];
      const breaks = line.breaks;
      line.breakAfter(way, 1_000_000, times);
      if (way === 'up') expect(await link.upload(bytes)).toBe(sha256(bytes));
      else expect(sha256(await link.download(sha256(bytes)))).toBe(sha256(bytes));
      expect(line.breaks - breaks).toBe(times);
      // Each break costs the chunk that was under way, a new handshake, and what the receiver had not yet read.
      expect(line.delivered[way] - before).toBeLessThan(1.5 * bytes.length);
    }
  });
});

describe('a narrow line', () => {
  it('is busy, not silent: parts of a transfer that arrive are signs of life, where heartbeats stand in line', async () => {
    await connectOver({ delayMs: 20, bytesPerSecond: 1_000_000, loss: { seed: 3, everyBytes: 500_000, stallMs: 100 } });
    const connected = loopback.handlers.log.filter((entry) => entry === '+alder').length;
    // Three seconds of the line, three times the silence that ends a connection.
    const hash = await link.upload(blob(3_000_000, 4));
    // Of a round it is the progress: every part that arrived was told, in order.
    const uploaded = loopback.handlers.uploaded.get(hash)!;
    expect(uploaded.length).toBeGreaterThan(10);
    expect(uploaded).toEqual([...uploaded].sort((a, b) => a - b));
    expect(uploaded.at(-1)).toBe(3_000_000);
    expect(events.log).toEqual(['connected']);
    expect(loopback.handlers.log.filter((entry) => entry === '+alder').length).toBe(connected);
  });

  it('that stalls for good is given up, and the transfer finished over the next one', async () => {
    await connectOver({ delayMs: 5, bytesPerSecond: 4_000_000 });
    const bytes = blob(3_000_000, 5);
    const before = line.delivered.up;
    const uploaded = link.upload(bytes);
    await until(() => line.delivered.up - before > 1_000_000, 'a part has arrived');
    line.freeze();
    expect(await uploaded).toBe(sha256(bytes));
    expect(events.log).toContain('WIRE_SILENT');
    expect(line.delivered.up - before).toBeLessThan(1.5 * bytes.length);
  });
});
