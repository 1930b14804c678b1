import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { survivalBrier } from '../../shared/metrics/survival-brier.js';
import { seededRandom } from '../../shared/rng.js';

const folder = path.join(process.env['CONCORDAT_REFERENCE'] ?? '', 'stats', 'survival');
const present = process.env['CONCORDAT_REFERENCE'] !== undefined && existsSync(folder);
if (!present) process.stderr.write('SKIPPED: survival Brier against riskRegression needs CONCORDAT_REFERENCE\n');

interface Golden {
  readonly breslow: {
    readonly pooled: { readonly coef: Record<string, number> };
    readonly baseline_hazard_uncentered: { readonly time: number[]; readonly cumhaz: number[] };
  };
  readonly score_ipcw: {
    readonly Brier: { readonly model: string[]; readonly times: number[]; readonly Brier: number[] };
  };
}

/** Rows of a CSV without quotes, as numbers by column. */
function columns(file: string): Map<string, number[]> {
  const [header, ...rows] = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(','));
  return new Map(header!.map((name, at) => [name.replaceAll('"', ''), rows.map((row) => Number(row[at]))]));
}

describe.runIf(present)('survival Brier equals riskRegression::Score (KM censoring), at 1e-8', () => {
  const cases = present ? readdirSync(folder).filter((name) => existsSync(path.join(folder, name, 'golden.json'))) : [];
  it.each(cases)('%s', (name) => {
    const golden = JSON.parse(readFileSync(path.join(folder, name, 'golden.json'), 'utf8')) as Golden;
    const about = JSON.parse(readFileSync(path.join(folder, name, 'case.json'), 'utf8')) as {
      time: string;
      event: string;
    };
    const table = columns(path.join(folder, name, 'input.csv'));
    const time = Float64Array.from(table.get(about.time)!);
    const event = Uint8Array.from(table.get(about.event)!);
    const score = time.map((_, row) =>
      Object.entries(golden.breslow.pooled.coef).reduce(
        (sum, [column, value]) => sum + value * table.get(column)![row]!,
        0,
      ),
    );
    const { time: grid, cumhaz } = golden.breslow.baseline_hazard_uncentered;
    const { model, times, Brier } = golden.score_ipcw.Brier;
    let compared = 0;
    for (const [at, kind] of model.entries()) {
      if (kind !== 'cox') continue;
      const last = grid.filter((point) => point <= times[at]!).length - 1;
      const survival = score.map((value) => Math.exp(-(last < 0 ? 0 : cumhaz[last]!) * Math.exp(value)));
      const got = survivalBrier(time, event, survival, times[at]!);
      expect(Math.abs(got! - Brier[at]!), `${name} at ${times[at]}: ${got} for ${Brier[at]}`).toBeLessThan(1e-8);
      compared++;
    }
    expect(compared).toBeGreaterThan(0);
  });
});

describe('survival Brier', () => {
  it('is the plain mean of squares where nobody is censored, and null where nobody is followed beyond', () => {
    const random = seededRandom('survival brier');
    const time = Float64Array.from({ length: 50 }, () => 1 + random.integer(20));
    const event = new Uint8Array(50).fill(1);
    const survival = time.map(() => random.uniform());
    let plain = 0;
    for (const [row, at] of time.entries())
      plain += (survival[row]! - (at > 10 ? 1 : 0)) * (survival[row]! - (at > 10 ? 1 : 0));
    expect(survivalBrier(time, event, survival, 10)).toBeCloseTo(plain / 50, 12);
    expect(survivalBrier(time, event, survival, 25)).toBeNull();
  });
});
