import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { encodeTensor, packWords } from '../../shared/fixed-point.js';
import type { TensorSpec } from '../../shared/tensors.js';

/**
 * Canaries: identifiers and numbers that stand in one patient's row and nowhere else, and a scanner that knows them in
 * every form in which a program might let them out.
 */
export interface Canary {
  readonly name: string;
  /** The cell, as it stands in the table. */
  readonly cell: string;
}

/** One canary of each kind for a site: its number among the sites makes them distinct. */
export function canariesOf(site: string, number: number): { id: Canary; feature: Canary; largest: Canary } {
  return {
    id: { name: `patient id of ${site}`, cell: `QX7-${site}-0${4711 + number}` },
    // Within what other patients have, so that nothing trips over it.
    feature: { name: `feature of ${site}`, cell: `0.${31415926 + 1009 * number}5` },
    // The largest of its column at that site: extremes are what summaries like to show.
    largest: { name: `largest value of ${site}`, cell: `3.${27182818 + 2003 * number}7` },
  };
}

/** Puts the canaries of a site into three rows of its table (id, three features, age, outcome). */
export function plant(csv: string, canaries: ReturnType<typeof canariesOf>): string {
  const lines = csv.trimEnd().split('\n');
  const put = (row: number, column: number, cell: string) => {
    const cells = lines[row]!.split(',');
    cells[column] = cell;
    lines[row] = cells.join(',');
  };
  put(2, 0, canaries.id.cell);
  put(3, 1, canaries.feature.cell);
  put(4, 2, canaries.largest.cell);
  return `${lines.join('\n')}\n`;
}

/** Every form of a canary that is looked for: text, hexadecimal, binary, fixed point, and base64 of each at any offset. */
export function formsOf(canary: Canary): { readonly form: string; readonly bytes: Buffer }[] {
  const raw: [string, Buffer][] = [['text', Buffer.from(canary.cell, 'utf8')]];
  const value = Number(canary.cell);
  if (Number.isFinite(value)) {
    // Rounded output would still give the patient away.
    raw.push(['rounded text', Buffer.from(value.toPrecision(8).replace(/0+$/, ''), 'utf8')]);
    const little = Buffer.alloc(8);
    little.writeDoubleLE(value);
    raw.push(['float64 little-endian', little], ['float64 big-endian', Buffer.from(little).reverse()]);
    for (const [ring, fractionBits] of [
      [128, 80],
      [64, 52],
      [64, 48],
    ] as const) {
      const words = wordsOf(value, ring, fractionBits);
      raw.push([`fixed point ${ring}/${fractionBits}`, words]);
      raw.push([`fixed point ${ring}/${fractionBits} reversed`, Buffer.from(words).reverse()]);
    }
  }
  return raw.flatMap(([form, bytes]) => [
    { form, bytes },
    { form: `hex of ${form}`, bytes: Buffer.from(bytes.toString('hex'), 'utf8') },
    ...[0, 1, 2].flatMap((offset) => {
      // The middle of the base64 text, which neighbours do not change.
      const text = Buffer.concat([Buffer.alloc(offset), bytes])
        .toString('base64')
        .replace(/=+$/, '');
      const middle = text.slice(offset === 0 ? 0 : 4, bytes.length + offset > 3 ? -2 : undefined);
      return middle.length < 6 ? [] : [{ form: `base64 of ${form}, offset ${offset}`, bytes: Buffer.from(middle) }];
    }),
  ]);
}

export interface Finding {
  readonly canary: string;
  readonly form: string;
  readonly channel: string;
}

/** Everything that was seen outside, by channel, and what of the canaries is in it. */
export class Scanner {
  private readonly channels = new Map<string, Buffer[]>();
  private readonly needles: { canary: string; form: string; bytes: Buffer }[];

  constructor(canaries: readonly Canary[]) {
    this.needles = canaries.flatMap((canary) =>
      formsOf(canary).map(({ form, bytes }) => ({ canary: canary.name, form, bytes })),
    );
  }

  /** Takes bytes, text, or any value whose strings, numbers and bytes are looked through. */
  see(channel: string, value: unknown): void {
    const parts = this.channels.get(channel) ?? [];
    parts.push(flat(value));
    this.channels.set(channel, parts);
  }

  seeFolder(channel: string, folder: string, except: (file: string) => boolean = () => false): void {
    for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(folder, entry);
      if (except(entry) || !statSync(file).isFile()) continue;
      this.see(channel, entry);
      this.see(channel, readFileSync(file));
    }
  }

  /** Bytes seen, by channel: a channel that saw nothing proves nothing. */
  sizes(): Record<string, number> {
    return Object.fromEntries(
      [...this.channels].map(([name, parts]) => [name, parts.reduce((sum, part) => sum + part.length, 0)]),
    );
  }

  findings(): Finding[] {
    const found: Finding[] = [];
    for (const [channel, parts] of this.channels) {
      const all = Buffer.concat(parts.flatMap((part) => [part, Buffer.from('\n')]));
      for (const { canary, form, bytes } of this.needles)
        if (all.includes(bytes)) found.push({ canary, form, channel });
    }
    return found;
  }

  /** Everything that is looked for, in one piece, to be planted by hand. */
  get everything(): Buffer {
    return Buffer.concat(this.needles.flatMap(({ bytes }) => [bytes, Buffer.from('|')]));
  }

  /** What of the canaries is not found, by channel: nothing, once `everything` went through each of them. */
  blindSpots(): string[] {
    const found = new Set(this.findings().map(({ channel, form, canary }) => `${channel}: ${form} of ${canary}`));
    return [...this.channels.keys()]
      .flatMap((channel) => this.needles.map(({ form, canary }) => `${channel}: ${form} of ${canary}`))
      .filter((wanted) => !found.has(wanted));
  }
}

/** As a contribution would hold it, without the zeros at its ends. */
function wordsOf(value: number, ring: 64 | 128, fractionBits: number): Buffer {
  const spec: TensorSpec = {
    name: 'canary',
    kind: 'canary',
    shape: [1],
    bound: 16,
    ring,
    fractionBits,
    contributors: [],
    visibility: 'total',
    momentColumns: 0,
    fold: 'study',
    meaning: '',
  };
  const bytes = Buffer.from(packWords([encodeTensor(spec, Float64Array.of(value), 3)]));
  let [from, to] = [0, bytes.length];
  while (bytes[from] === 0) from++;
  while (bytes[to - 1] === 0) to--;
  return bytes.subarray(from, to);
}

function flat(value: unknown): Buffer {
  const parts: Buffer[] = [];
  const walk = (inner: unknown): void => {
    if (typeof inner === 'string') parts.push(Buffer.from(inner, 'utf8'));
    else if (typeof inner === 'number' || typeof inner === 'bigint' || typeof inner === 'boolean')
      parts.push(Buffer.from(String(inner)));
    else if (ArrayBuffer.isView(inner))
      parts.push(Buffer.from(inner.buffer as ArrayBuffer, inner.byteOffset, inner.byteLength));
    else if (inner instanceof Error) walk([inner.message, inner.stack, { ...inner }, inner.cause]);
    else if (inner instanceof Map) walk([...inner]);
    else if (Array.isArray(inner)) inner.forEach(walk);
    else if (inner !== null && typeof inner === 'object') walk(Object.entries(inner));
  };
  walk(value);
  return Buffer.concat(parts.flatMap((part) => [part, Buffer.from(' ')]));
}
