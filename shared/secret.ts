import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

/**
 * Bytes that must not be printed by accident: keys, seeds, shares. Every road to text (`String`, JSON, `util.inspect`,
 * so a log line or an assertion message too) gives `[secret 32 bytes]`. Reading them takes the word `reveal`.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes);
  }

  get length(): number {
    return this.#bytes.length;
  }

  reveal(): Uint8Array {
    return this.#bytes;
  }

  equals(other: Secret): boolean {
    return this.length === other.length && timingSafeEqual(this.#bytes, other.#bytes);
  }

  /** Overwrites the bytes; copies that the runtime made stay out of reach. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return `[secret ${this.length} bytes]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
