import net from 'node:net';
import { seededRandom } from '../../shared/rng.js';

export interface LineModel {
  /** One way. */
  readonly delayMs: number;
  /** Each way; none where absent. */
  readonly bytesPerSecond?: number;
  /**
   * TCP hides loss: what a program sees is a stall until the retransmission. One stall of `stallMs` after
   * `everyBytes` on average, at seeded places.
   */
  readonly loss?: { readonly seed: number; readonly everyBytes: number; readonly stallMs: number };
}

/** One way of one connection through the line: first in, first out, each byte delivered once its time has come. */
class Way {
  accepted = 0;
  delivered = 0;
  inFlightMax = 0;
  private readonly queue: { readonly data: Buffer; readonly dueMs: number }[] = [];
  private freeAtMs = 0;
  private untilLoss: number;
  private timer: NodeJS.Timeout | undefined;
  private ended = false;
  private readonly random;

  constructor(
    private readonly source: net.Socket,
    private readonly sink: net.Socket,
    private readonly model: LineModel,
    private readonly line: { readonly frozen: boolean },
    private readonly onDelivered: (bytes: number) => void,
    readonly name: 'up' | 'down',
  ) {
    this.random = seededRandom('loss', model.loss?.seed ?? 0, name);
    this.untilLoss = this.nextLoss();
    source.on('data', (data: Buffer) => this.take(data));
    source.on('end', () => this.finish());
    source.on('close', () => this.finish());
    source.on('error', () => undefined);
  }

  get inFlight(): number {
    return this.accepted - this.delivered;
  }

  private nextLoss(): number {
    const { loss } = this.model;
    return loss === undefined ? Number.POSITIVE_INFINITY : -Math.log(1 - this.random.uniform()) * loss.everyBytes;
  }

  private take(data: Buffer): void {
    const { delayMs, bytesPerSecond, loss } = this.model;
    this.accepted += data.length;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    this.freeAtMs = Math.max(this.freeAtMs, performance.now());
    if (bytesPerSecond !== undefined) this.freeAtMs += (1000 * data.length) / bytesPerSecond;
    for (this.untilLoss -= data.length; this.untilLoss <= 0; this.untilLoss += this.nextLoss())
      this.freeAtMs += loss!.stallMs;
    this.queue.push({ data, dueMs: this.freeAtMs + delayMs });
    this.schedule();
  }

  schedule(): void {
    const next = this.queue[0];
    if (this.timer !== undefined || next === undefined || this.line.frozen) return;
    this.timer = setTimeout(() => this.deliver(), Math.max(0, next.dueMs - performance.now()));
  }

  private deliver(): void {
    this.timer = undefined;
    const now = performance.now();
    while (!this.line.frozen && this.queue[0] !== undefined && this.queue[0].dueMs <= now) {
      const { data } = this.queue.shift()!;
      this.delivered += data.length;
      if (!this.sink.destroyed) this.sink.write(data);
      this.onDelivered(data.length);
    }
    this.schedule();
    if (this.ended && this.queue.length === 0 && !this.line.frozen) this.sink.end();
  }

  private finish(): void {
    if (this.ended) return;
    this.ended = true;
    if (this.queue.length === 0 && !this.line.frozen) this.sink.end();
  }

  cut(): void {
    clearTimeout(this.timer);
    this.queue.length = 0;
    this.source.destroy();
    this.sink.destroy();
  }
}

interface Passage {
  frozen: boolean;
  readonly ways: readonly Way[];
}

/**
 * A line between a site and the coordinator in user space: delay, bandwidth, stalls, breaks and black holes. It takes
 * bytes as fast as they come and holds them until they are due, so what is in flight is limited by the protocol on top
 * alone, not by this machine's socket buffers.
 */
export class SlowLine {
  port = 0;
  /** Delivered, over all connections so far. */
  readonly delivered = { up: 0, down: 0 };
  connections = 0;
  breaks = 0;
  /** New connections are accepted, and nothing passes. */
  blackHole = false;
  private readonly passages = new Set<Passage>();
  private breakEvery = { way: 'up' as 'up' | 'down', bytes: Number.POSITIVE_INFINITY, times: 0 };
  private sinceBreak = 0;
  private readonly server = net.createServer((socket) => this.accept(socket));

  private constructor(
    private readonly target: () => { readonly host: string; readonly port: number },
    private readonly model: LineModel,
  ) {}

  static async open(
    target: () => { readonly host: string; readonly port: number },
    model: LineModel,
    host = '127.0.0.1',
    port = 0,
  ): Promise<SlowLine> {
    const line = new SlowLine(target, model);
    await new Promise<void>((resolve) => line.server.listen(port, host, resolve));
    line.port = (line.server.address() as net.AddressInfo).port;
    return line;
  }

  private accept(from: net.Socket): void {
    this.connections++;
    const to = net.connect(this.target());
    const passage = { frozen: this.blackHole, ways: [] as Way[] };
    const way = (source: net.Socket, sink: net.Socket, name: 'up' | 'down') =>
      new Way(source, sink, this.model, passage, (bytes) => this.count(passage, name, bytes), name);
    passage.ways.push(way(from, to, 'up'), way(to, from, 'down'));
    this.passages.add(passage);
    from.setNoDelay();
    to.setNoDelay();
  }

  private count(passage: Passage, name: 'up' | 'down', bytes: number): void {
    this.delivered[name] += bytes;
    if (name !== this.breakEvery.way) return;
    this.sinceBreak += bytes;
    if (this.breakEvery.times === 0 || this.sinceBreak < this.breakEvery.bytes) return;
    this.breakEvery.times--;
    this.sinceBreak = 0;
    this.breaks++;
    for (const one of passage.ways) one.cut();
    this.passages.delete(passage);
  }

  /** Cuts the connection after every so many bytes delivered that way, so many times. */
  breakAfter(way: 'up' | 'down', bytes: number, times: number): void {
    this.breakEvery = { way, bytes, times };
    this.sinceBreak = 0;
  }

  /** Existing connections swallow everything from now on; new ones work, unless `blackHole` is set. */
  freeze(): void {
    for (const passage of this.passages) passage.frozen = true;
  }

  thaw(): void {
    for (const passage of this.passages) {
      passage.frozen = false;
      for (const way of passage.ways) way.schedule();
    }
  }

  inFlight(name: 'up' | 'down'): number {
    return Math.max(
      0,
      ...[...this.passages].flatMap(({ ways }) => ways.filter((way) => way.name === name).map((way) => way.inFlight)),
    );
  }

  close(): void {
    for (const { ways } of this.passages) for (const way of ways) way.cut();
    this.server.close();
  }
}
