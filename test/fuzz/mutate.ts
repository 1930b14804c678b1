import type { SeededRandom } from '../../shared/rng.js';

/** Ways to break a valid specimen that keep most of its structure, so that what reads it gets far. */
export function pick<T>(random: SeededRandom, items: readonly T[]): T {
  return items[random.integer(items.length)]!;
}

const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', 'then', 'toJSON', ''];
const NUMBERS = [
  0,
  -0,
  -1,
  1,
  2,
  0.5,
  255,
  256,
  65_536,
  2_147_483_647,
  2_147_483_648,
  4_294_967_295,
  4_294_967_296,
  Number.MAX_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER + 1,
  1e21,
  1.7976931348623157e308,
  5e-324,
  -1e9,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const TEXTS = [
  ...NAMES,
  'alder',
  '../..',
  'a/../../b',
  '\u0000',
  '\ud800',
  'é́́',
  '𝕊',
  '\u202e',
  '-1',
  'NaN',
  '1e999',
  '0x10',
  '9'.repeat(400),
  'a'.repeat(5000),
  '00'.repeat(32),
  'ff'.repeat(32),
  '*',
  '"',
  "'; DROP",
];

/** Something that hardly ever belongs where it is put. */
export function oddValue(random: SeededRandom): unknown {
  switch (random.integer(13)) {
    case 0:
      return null;
    case 1:
      return undefined;
    case 2:
      return random.integer(2) === 0;
    case 3:
    case 4:
    case 5:
      return pick(random, NUMBERS);
    case 6:
    case 7:
      return pick(random, TEXTS);
    case 8:
      return [];
    case 9:
      return {};
    case 10:
      return nested(1 + random.integer(random.integer(20) === 0 ? 6000 : 40), random.integer(2) === 0);
    case 11:
      return Uint8Array.from({ length: random.integer(70) }, () => random.integer(256));
    default:
      return Object.fromEntries([[pick(random, NAMES), pick(random, NUMBERS)]]);
  }
}

function nested(depth: number, lists: boolean): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = lists ? [value] : { a: value };
  return value;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Own property, whatever its name: an assignment to `__proto__` would change the object's kind instead. */
function put(target: object, key: string | number, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

interface Place {
  readonly holder: object;
  readonly key: string | number;
}

function placesIn(value: unknown, found: Place[] = [], depth = 0): Place[] {
  if (found.length > 4000 || depth > 60) return found;
  if (Array.isArray(value))
    for (const [index, item] of value.entries()) {
      found.push({ holder: value, key: index });
      placesIn(item, found, depth + 1);
    }
  else if (isPlain(value))
    for (const [key, item] of Object.entries(value)) {
      found.push({ holder: value, key });
      placesIn(item, found, depth + 1);
    }
  return found;
}

/** A copy with some of its fields dropped, repeated, exchanged, or replaced by what does not belong there. */
export function mutateValue<T>(random: SeededRandom, specimen: T, most = 3): T {
  const root = { value: structuredClone(specimen) as unknown };
  for (let left = 1 + random.integer(most); left > 0; left--) {
    const places = placesIn(root.value);
    const place =
      places.length === 0 || random.integer(60) === 0 ? { holder: root, key: 'value' } : pick(random, places);
    change(random, place, places);
  }
  return root.value as T;
}

function change(random: SeededRandom, { holder, key }: Place, places: readonly Place[]): void {
  const held = (holder as Record<string | number, unknown>)[key];
  switch (random.integer(9)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else Reflect.deleteProperty(holder, key);
      return;
    case 1:
      if (Array.isArray(holder)) holder.splice(random.integer(holder.length + 1), 0, structuredClone(held));
      else put(holder, pick(random, NAMES), structuredClone(held));
      return;
    case 2: {
      if (places.length === 0) return;
      const other = pick(random, places);
      put(holder, key, structuredClone((other.holder as Record<string | number, unknown>)[other.key]));
      return;
    }
    case 3:
    case 4:
      put(holder, key, near(random, held));
      return;
    case 5:
      if (Array.isArray(held) && held.length > 0) {
        const wanted = random.integer(40) === 0 ? 2000 : held.length * 3;
        put(
          holder,
          key,
          Array.from({ length: wanted }, (_, i) => structuredClone(held[i % held.length])),
        );
        return;
      }
      put(holder, key, near(random, held));
      return;
    case 6:
      if (Array.isArray(held)) held.reverse();
      else put(holder, key, [structuredClone(held)]);
      return;
    default:
      put(holder, key, oddValue(random));
  }
}

/** Of the same type, but another value: gets further than a wrong type. */
function near(random: SeededRandom, value: unknown): unknown {
  if (value instanceof Float64Array) {
    const changed = Float64Array.from(value);
    if (changed.length > 0) changed[random.integer(changed.length)] = pick(random, NUMBERS);
    return random.integer(4) === 0 ? changed.slice(0, random.integer(changed.length + 1)) : changed;
  }
  if (value instanceof Uint8Array) return mutateBytes(random, value);
  if (typeof value === 'number') return random.integer(2) === 0 ? pick(random, NUMBERS) : value + random.integer(5) - 2;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') {
    if (value === '' || random.integer(4) === 0) return pick(random, TEXTS);
    return mutateText(random, value);
  }
  return oddValue(random);
}

/**
 * A copy that stays well formed: fields taken from another specimen of the same form, entries dropped, doubled or turned
 * round, numbers and bytes changed a little. What checks only the form lets it through.
 */
export function crossed<T>(random: SeededRandom, specimen: T, other: T): T {
  const root = { value: structuredClone(specimen) as unknown };
  for (let left = 1 + random.integer(2); left > 0; left--) {
    const places = placesIn(root.value).filter(({ key }) => key !== 'type');
    if (places.length === 0) break;
    const { holder, key } = pick(random, places);
    const held = (holder as Record<string | number, unknown>)[key];
    const theirs = placesIn(other).filter((place) => place.key === key && kindOf(place) === typeof held);
    if (theirs.length > 0 && random.integer(2) === 0) {
      const place = pick(random, theirs);
      put(holder, key, structuredClone((place.holder as Record<string | number, unknown>)[place.key]));
    } else if (Array.isArray(held) && held.length > 0) {
      if (random.integer(2) === 0) held.splice(random.integer(held.length), 1);
      else held.push(structuredClone(pick(random, held)));
    } else if (typeof held === 'number')
      put(holder, key, pick(random, [held + 1, Math.max(0, held - 1), 0, 4_294_967_295]));
    else if (held instanceof Uint8Array && held.length > 0) {
      const changed = Uint8Array.from(held);
      changed[random.integer(changed.length)]! ^= 1 << random.integer(8);
      put(holder, key, changed);
    } else if (typeof held === 'string' && /^[0-9a-f]{64}$/.test(held))
      put(holder, key, held.replace(/.$/, pick(random, ['0', 'f'])));
  }
  return root.value as T;
}

function kindOf({ holder, key }: Place): string {
  return typeof (holder as Record<string | number, unknown>)[key];
}

/** Bits flipped, bytes cut, repeated, added, overwritten by extreme lengths. */
export function mutateBytes(random: SeededRandom, specimen: Uint8Array): Uint8Array {
  let bytes = Uint8Array.from(specimen);
  for (let left = 1 + random.integer(3); left > 0; left--) {
    const at = random.integer(bytes.length + 1);
    const length = random.integer(Math.min(64, bytes.length - at) + 1);
    switch (random.integer(7)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << random.integer(8));
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at + length));
        break;
      case 4:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at));
        break;
      case 5:
        bytes = joined(
          bytes,
          Uint8Array.from({ length: 1 + random.integer(16) }, () => random.integer(256)),
        );
        break;
      default: {
        const extreme = pick(random, EXTREMES);
        bytes = joined(bytes.subarray(0, at), extreme, bytes.subarray(Math.min(bytes.length, at + extreme.length)));
      }
    }
  }
  return bytes;
}

const EXTREMES = [
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0, 0, 0, 0],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0, 0, 0, 0, 0, 0, 0xf0, 0x7f],
  [0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
].map((bytes) => Uint8Array.from(bytes));

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

/** Text with pieces of it repeated, cut, exchanged, or replaced by marks that mean something to a parser. */
export function mutateText(random: SeededRandom, specimen: string, marks: readonly string[] = TEXTS): string {
  let text = specimen;
  for (let left = 1 + random.integer(3); left > 0; left--) {
    const at = random.integer(text.length + 1);
    const end = Math.min(text.length, at + random.integer(24));
    switch (random.integer(6)) {
      case 0:
        text = text.slice(0, at) + text.slice(end);
        break;
      case 1:
        text = text.slice(0, end) + text.slice(at);
        break;
      case 2:
      case 3:
        text = text.slice(0, at) + pick(random, marks) + text.slice(end);
        break;
      case 4:
        text =
          random.integer(6) === 0 ? text.slice(0, at) : text.slice(0, at) + text.slice(at).replace(/\d+/, odd(random));
        break;
      default: {
        const lines = text.split('\n');
        const line = random.integer(lines.length);
        const moved = lines.splice(line, 1);
        if (random.integer(2) === 0) lines.splice(random.integer(lines.length + 1), 0, ...moved, ...moved);
        else lines.splice(random.integer(lines.length + 1), 0, ...moved);
        text = lines.join('\n');
      }
    }
  }
  return text;
}

function odd(random: SeededRandom): string {
  return String(pick(random, NUMBERS));
}

/** JSON text of a value that JSON can hold only in part: what cannot be written becomes null, as a careless writer would. */
export function jsonText(value: unknown): string {
  return (
    JSON.stringify(value, (_key, item: unknown) =>
      ArrayBuffer.isView(item) ? Array.from(item as Uint8Array) : item,
    ) ?? 'null'
  );
}
