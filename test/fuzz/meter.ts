/**
 * Counts the bytes that code asks for by a length of its own: typed arrays, buffers, arrays and repeated text. An input
 * of a hundred bytes that makes somebody ask for a gigabyte is a finding, whether or not this machine has it.
 */
export class AllocationMeter {
  /** Bytes asked for since `reset`. */
  asked = 0;

  reset(): void {
    this.asked = 0;
  }

  /** From now on every request in this process is counted; a request beyond `most` at once is refused. */
  install(most: number): void {
    const count = (bytes: number): void => {
      if (!Number.isFinite(bytes) || bytes < 0) return;
      this.asked += bytes;
      if (bytes > most) throw new OverLimit(`${bytes} bytes were asked for at once`);
    };
    const globals = globalThis as unknown as Record<string, new (...args: unknown[]) => { BYTES_PER_ELEMENT?: number }>;
    const widths: Record<string, number> = {
      Float64Array: 8,
      Int32Array: 4,
      Uint32Array: 4,
      Uint8Array: 1,
      BigUint64Array: 8,
      BigInt64Array: 8,
      ArrayBuffer: 1,
      Array: 8,
    };
    for (const [name, width] of Object.entries(widths)) {
      const original = globals[name]!;
      globals[name] = new Proxy(original, {
        construct: (target, args, newTarget) => {
          if (args.length === 1 && typeof args[0] === 'number') count(args[0] * width);
          return Reflect.construct(target, args, newTarget) as object;
        },
      });
      const from = (original as unknown as { from?: (...args: unknown[]) => unknown }).from;
      if (from === undefined) continue;
      Object.defineProperty(original, 'from', {
        configurable: true,
        writable: true,
        value(this: unknown, ...args: unknown[]) {
          const { length } = (args[0] ?? {}) as { length?: unknown };
          if (typeof length === 'number') count(length * width);
          return Reflect.apply(from, this, args) as unknown;
        },
      });
    }
    for (const name of ['alloc', 'allocUnsafe'] as const) {
      const original = Buffer[name].bind(Buffer) as (size: number, ...rest: unknown[]) => Buffer;
      Object.defineProperty(Buffer, name, {
        configurable: true,
        writable: true,
        value: (size: number, ...rest: unknown[]) => {
          count(size);
          return original(size, ...rest);
        },
      });
    }
    const { repeat } = String.prototype;
    Object.defineProperty(String.prototype, 'repeat', {
      configurable: true,
      writable: true,
      value(this: string, times: number) {
        count(this.length * times);
        return repeat.call(this, times);
      },
    });
  }
}

/** Not a ConcordatError on purpose: whoever lets an input ask for so much has a defect. */
export class OverLimit extends Error {}
