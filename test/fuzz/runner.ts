import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { type FuzzKind, type FuzzTarget, Refused } from './kind.js';
import { KINDS } from './kinds/index.js';
import type { AllocationMeter } from './meter.js';

/** Bytes that one input may make the reader ask for: a constant, and a multiple of its own length. */
export const ASKED_AT_ONCE_MAX = 64 * 1024 * 1024;
const ASKED_BASE = 64 * 1024 * 1024;
const ASKED_FACTOR = 256;

export interface Finding {
  readonly kind: string;
  readonly index: number;
  readonly what: string;
  readonly input: Uint8Array;
}

export interface KindReport {
  readonly kind: string;
  runs: number;
  accepted: number;
  readonly refused: Map<string, number>;
  readonly findings: Finding[];
  /** Largest number of bytes asked for by one case. */
  asked: number;
}

const targets = new Map<string, FuzzTarget>();

export function targetOf(kind: FuzzKind): FuzzTarget {
  const target = targets.get(kind.name) ?? kind.prepare();
  targets.set(kind.name, target);
  return target;
}

export function kindOf(name: string): FuzzKind {
  const kind = KINDS.find((entry) => entry.name === name);
  if (kind === undefined)
    throw new Error(`no kind of input is called "${name}": ${KINDS.map((k) => k.name).join(', ')}`);
  return kind;
}

/** The same bytes for the same seed and number, whatever ran before. */
export function inputOf(kind: FuzzKind, seed: number, index: number): Uint8Array {
  for (let salt = 0; ; salt++) {
    try {
      return targetOf(kind).make(seededRandom('fuzz', kind.name, seed, index, salt));
    } catch (error) {
      // Some broken values cannot be written down at all, for instance those nested too deep: another one is taken.
      if (salt >= 50) throw error;
    }
  }
}

export interface Outcome {
  /** `accepted`, the code it was refused with, or what went wrong. */
  readonly outcome: string;
  readonly finding: string | null;
  readonly asked: number;
}

export function runInput(kind: FuzzKind, input: Uint8Array, meter: AllocationMeter | null): Outcome {
  const target = targetOf(kind);
  meter?.reset();
  const done = (outcome: string, finding: string | null): Outcome => {
    const asked = meter?.asked ?? 0;
    const tooMuch = asked > ASKED_BASE + ASKED_FACTOR * input.length;
    return { outcome, finding: finding ?? (tooMuch ? `${asked} bytes asked for by ${input.length}` : null), asked };
  };
  try {
    target.run(input);
    return done('accepted', null);
  } catch (error) {
    if (error instanceof Refused) return done(`(${error.message})`, null);
    if (error instanceof ConcordatError && error.code !== 'INTERNAL_BUG') return done(error.code, null);
    const name = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const where = error instanceof Error ? frameOf(error) : '';
    return done('finding', `${name.slice(0, 200)}${where}`);
  }
}

/** The first place in Concordat's own code. */
function frameOf(error: Error): string {
  const frame = (error.stack ?? '')
    .split('\n')
    .find((line) => /(shared|coordinator|site-agent|harmonization)\//.test(line));
  const place = /((?:shared|coordinator|site-agent|harmonization)\/[^):]+:\d+)/.exec(frame ?? '');
  return place === null ? '' : ` at ${place[1]}`;
}

export function emptyReport(kind: string): KindReport {
  return { kind, runs: 0, accepted: 0, refused: new Map(), findings: [], asked: 0 };
}

export function note(report: KindReport, index: number, input: Uint8Array, result: Outcome): void {
  report.runs++;
  report.asked = Math.max(report.asked, result.asked);
  if (result.finding !== null) {
    // One input a place is enough to mend it.
    if (report.findings.length < 50) report.findings.push({ kind: report.kind, index, what: result.finding, input });
  } else if (result.outcome === 'accepted') report.accepted++;
  else report.refused.set(result.outcome, (report.refused.get(result.outcome) ?? 0) + 1);
}

/** How many runs each kind gets: by weight, each at least one. */
export function shares(runs: number, only: string | null): Map<string, number> {
  const kinds = KINDS.filter((kind) => (only === null ? kind.weight > 0 : kind.name === only));
  const sum = kinds.reduce((total, kind) => total + Math.max(kind.weight, only === null ? 0 : 1), 0);
  const given = new Map(
    kinds.map((kind) => [kind.name, only === null ? Math.max(1, Math.floor((runs * kind.weight) / sum)) : runs]),
  );
  const rest = runs - [...given.values()].reduce((a, b) => a + b, 0);
  const first = kinds[0];
  if (first !== undefined && rest > 0) given.set(first.name, given.get(first.name)! + rest);
  return given;
}
