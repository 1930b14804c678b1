import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { bytesOf, pack, textOf, unpack } from './kind.js';
import { KINDS } from './kinds/index.js';
import { AllocationMeter } from './meter.js';
import { crossed, mutateBytes, mutateText, mutateValue } from './mutate.js';
import { emptyReport, inputOf, kindOf, note, runInput, shares } from './runner.js';

const REGRESSIONS = 'test/fuzz/regressions';

interface Regression {
  readonly kind: string;
  /** What happened when it was found. */
  readonly was: string;
  /** What happens now. */
  readonly now: string;
  readonly input: string;
}

describe('inputs that once crashed a reader', () => {
  const files = readdirSync(REGRESSIONS).filter((name) => name.endsWith('.json'));
  it.each(files)('%s', (name) => {
    const regression = JSON.parse(readFileSync(`${REGRESSIONS}/${name}`, 'utf8')) as Regression;
    const result = runInput(kindOf(regression.kind), new Uint8Array(Buffer.from(regression.input, 'base64')), null);
    expect([result.outcome, result.finding]).toEqual([regression.now, null]);
  });
});

describe('broken inputs of every form', () => {
  it('100,000 of them: none crashes, hangs, takes memory out of proportion or meets an error without a name', () => {
    const program = 'dist/test/fuzz/main.js';
    expect(existsSync(program), 'run `npm run build` first').toBe(true);
    const output = execFileSync(process.execPath, [program, '--runs', '100000', '--seed', '1'], { encoding: 'utf8' });
    expect(output).toMatch(/\n100000 runs with seed 1, 0 findings\n$/);
    for (const { name } of KINDS) expect(output).toMatch(new RegExp(`^${name.replace('.', '\\.')} +\\d+`, 'm'));
  }, 600_000);

  it('gets past the form: of every kind some are taken and some refused', () => {
    for (const kind of KINDS) {
      const report = emptyReport(kind.name);
      for (let index = 0; index < 400 && (report.accepted === 0 || report.refused.size === 0); index++) {
        const input = inputOf(kind, 7, index);
        note(report, index, input, runInput(kind, input, null));
      }
      expect(report.findings, kind.name).toEqual([]);
      expect(report.accepted, `${kind.name} accepted`).toBeGreaterThan(0);
      expect(report.refused.size, `${kind.name} refused`).toBeGreaterThan(0);
    }
  });
});

describe('the fuzzer itself', () => {
  it('makes the same input of the same seed and number', () => {
    for (const kind of KINDS) {
      expect(inputOf(kind, 3, 5), kind.name).toEqual(inputOf(kind, 3, 5));
      const others = [6, 7, 8, 9].map((index) => Buffer.from(inputOf(kind, 3, index)).toString('base64'));
      expect(new Set(others).size, kind.name).toBeGreaterThan(1);
    }
  });

  it('leaves its specimens as they were', () => {
    const specimen = { a: [1, 2, { b: 'text' }], c: new Uint8Array([1, 2]) };
    const before = structuredClone(specimen);
    for (let seed = 0; seed < 200; seed++) {
      mutateValue(seededRandom('keep', seed), specimen);
      crossed(seededRandom('keep', seed), specimen, specimen);
      mutateBytes(seededRandom('keep', seed), specimen.c);
      mutateText(seededRandom('keep', seed), 'text');
    }
    expect(specimen).toEqual(before);
  });

  it('calls any error without a name a finding, and takes named ones for refusals', () => {
    const kind = (run: () => void) => ({
      name: `test-${run.toString().length}-${Math.floor(run.toString().length)}`,
      weight: 0,
      prepare: () => ({ make: () => bytesOf(''), run }),
    });
    const outcome = (run: () => void) => runInput(kind(run), bytesOf('x'), null);
    const bug = new ConcordatError('INTERNAL_BUG', 'a promise broken');
    expect(outcome(() => undefined).outcome).toBe('accepted');
    expect(outcome(() => void JSON.parse('{')).finding).toMatch(/^SyntaxError/);
    expect(
      outcome(() => {
        throw bug;
      }).finding,
    ).toMatch(/a promise broken/);
  });

  it('counts what is asked for, whether or not it is there', () => {
    // In a process of its own: the meter changes the globals for good.
    const script = `
      const { AllocationMeter } = await import(process.cwd() + '/dist/test/fuzz/' + 'meter.js');
      const meter = new AllocationMeter();
      meter.install(1e6);
      new Float64Array(1000); Buffer.alloc(500); 'x'.repeat(20);
      const counted = meter.asked;
      let refused = 0;
      for (const ask of [() => new Uint8Array(2e6), () => Array.from({ length: 1e6 }), () => 'x'.repeat(2e6)])
        try { ask(); } catch { refused++; }
      console.log(counted, refused, new Float64Array(2) instanceof Float64Array);`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(output.trim()).toBe('8520 3 true');
    expect(new AllocationMeter().asked).toBe(0);
  });

  it('packs numbers and bytes that JSON has no word for', () => {
    const value = {
      a: Number.NaN,
      b: [new Uint8Array([1, 255]), Number.NEGATIVE_INFINITY],
      c: Float64Array.from([0.1]),
    };
    expect(unpack(pack(value))).toEqual(value);
    expect(textOf(bytesOf('é'))).toBe('é');
  });

  it('shares the runs out by weight', () => {
    const given = shares(100_000, null);
    expect([...given.values()].reduce((a, b) => a + b, 0)).toBe(100_000);
    expect(shares(50, 'roster')).toEqual(new Map([['roster', 50]]));
  });
});
