import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { simulateTable } from '../../cli/simulate-table.js';
import type { ModelResult, MomentsResult } from '../../shared/computations/frame.js';
import { checkStabilityBroadcast, checkStabilityResult } from '../../shared/computations/stability/check-broadcast.js';
import type { StabilityResult, StabilitySpec } from '../../shared/computations/stability/declaration.js';
import { documentHash, encodeDocument } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { planStudy } from '../../shared/plan.js';
import { seededRandom } from '../../shared/rng.js';
import type { Study } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';

const folder = mkdtempSync(path.join(tmpdir(), 'concordat-stability-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SITES = ['alder', 'birch', 'cedar', 'dogwood'];
/** Noise between two readings of each feature, as a share of the spread between patients. */
const NOISE = { steady: 0.1, fair: 0.5, shaky: 2, shifted: 0.1 };
const FEATURES = Object.keys(NOISE) as (keyof typeof NOISE)[];

interface Patient {
  readonly id: string;
  readonly site: string;
  readonly y: number;
  readonly values: readonly number[];
  readonly second: readonly number[];
}

function patients(seed: number, shiftOf: (site: string) => number = () => 0): Patient[] {
  return SITES.flatMap((site, at) => {
    const random = seededRandom('stability', seed, site);
    return Array.from({ length: 40 }, (_, index): Patient => {
      const truth = FEATURES.map(() => random.normal());
      const reading = (reader: number) =>
        FEATURES.map(
          (name, j) =>
            truth[j]! +
            NOISE[name] * random.normal() +
            shiftOf(site) * (1 + at) +
            (name === 'shifted' ? 5 * reader : 0),
        );
      const score = truth[0]! + truth[1]! + truth[2]!;
      return {
        id: `${site}-${index}`,
        site,
        y: random.uniform() < 1 / (1 + Math.exp(-score)) ? 1 : 0,
        values: reading(0),
        second: reading(1),
      };
    });
  });
}

function study(stability: string, more = ''): Study {
  return parseStudy(
    `concordat: 1
name: stable
cohort: {endpoint: {type: binary, column: y}, features: [${FEATURES.join(', ')}]}
sites: {training: [${SITES.join(', ')}]}
selection: {stability: ${stability}}
model: {type: logistic, lambda: 0}
validation: {folds: 2, leaveOneSiteOut: true}
privacy: {minimumCohort: 10, minimumCount: 5, minSites: 3, showAggregate: [${SITES.join(', ')}]}
${more}`,
    'study.yaml',
  );
}

function run(rows: readonly Patient[], of: Study, oneHolder = false, repeatedSites = SITES, first = 25) {
  const cells = (values: readonly (string | number)[]) => values.join(',');
  const table = [
    `id,hospital,y,${FEATURES.join(',')}`,
    ...rows.map((row) => cells([row.id, row.site, row.y, ...row.values])),
  ];
  const repeated = rows.filter(({ site, id }) => repeatedSites.includes(site) && Number(id.split('-')[1]) < first);
  const repeats = [
    `id,reading,${FEATURES.join(',')}`,
    ...repeated.flatMap(({ id, values, second }) => [cells([id, 'one', ...values]), cells([id, 'two', ...second])]),
  ];
  writeFileSync(path.join(folder, 'table.csv'), `${table.join('\n')}\n`);
  writeFileSync(path.join(folder, 'repeats.csv'), `${repeats.join('\n')}\n`);
  writeFileSync(
    path.join(folder, 'cohort.yaml'),
    'concordat: 1\ntable: table.csv\nid: id\nrepeats: {table: repeats.csv}\n',
  );
  return simulateTable(of, {
    table: path.join(folder, 'table.csv'),
    siteColumn: 'hospital',
    oneHolder,
    guard: true,
    cohortYaml: path.join(folder, 'cohort.yaml'),
  }).run;
}

const stabilityOf = (of: ReturnType<typeof run>) => of.results.get('stability') as StabilityResult;

/** Slow twin: analysis of variance with sites as a nesting factor, from the definition, over all patients at once. */
function twin(rows: readonly Patient[], feature: number): { icc1: number; icc3: number } {
  const own = rows.filter(({ id }) => Number(id.split('-')[1]) < 25);
  let between = 0;
  let within = 0;
  let error = 0;
  for (const site of SITES) {
    const here = own.filter((row) => row.site === site);
    if (here.length === 0) continue;
    const all = here.flatMap((row) => [row.values[feature]!, row.second[feature]!]);
    const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
    const grand = mean(all);
    const readers = [mean(here.map((row) => row.values[feature]!)), mean(here.map((row) => row.second[feature]!))];
    for (const row of here) {
      const pair = [row.values[feature]!, row.second[feature]!];
      const centre = mean(pair);
      between += 2 * (centre - grand) * (centre - grand);
      for (const [j, value] of pair.entries()) {
        within += (value - centre) * (value - centre);
        const residual = value - centre - readers[j]! + grand;
        error += residual * residual;
      }
    }
  }
  const sites = new Set(own.map(({ site }) => site)).size;
  const msb = between / (own.length - sites);
  const msw = within / own.length;
  const mse = error / (own.length - sites);
  return { icc1: (msb - msw) / (msb + msw), icc3: (msb - mse) / (msb + mse) };
}

describe('features on which repeated measurements agree', () => {
  const rows = patients(1);
  const ran = run(rows, study('{minimum: 0.7}'));
  const result = stabilityOf(ran);

  it('have the intraclass correlation of an analysis of variance over all patients, sites as nests', () => {
    const all = result.fits['none:all']!;
    for (const j of FEATURES.keys()) {
      expect(all.value[j]).toBeCloseTo(twin(rows, j).icc3, 10);
      expect(all.low[j]).toBeLessThan(all.value[j]!);
      expect(all.high[j]).toBeGreaterThan(all.value[j]!);
    }
    expect([...all.subjects]).toEqual([100, 100, 100, 100]);
    const agreement = stabilityOf(run(rows, study('{minimum: 0.7, kind: "ICC(1,1)"}'))).fits['none:all']!;
    for (const j of FEATURES.keys()) expect(agreement.value[j]).toBeCloseTo(twin(rows, j).icc1, 10);
    // The readers differ by five throughout: consistency does not see it, agreement does.
    expect(all.keep[FEATURES.indexOf('shifted')]).toBe(1);
    expect(agreement.keep[FEATURES.indexOf('shifted')]).toBe(0);
  });

  it('enter the models, and others do not, in every fold', () => {
    const moments = ran.results.get('moments') as MomentsResult;
    for (const fit of ran.plan.fits) {
      expect([...result.fits[fit.id]!.keep]).toEqual([1, 1, 0, 1]);
      expect(moments.fits[fit.id]!.sd[2]).toBe(0);
    }
    const { coefficients } = (ran.results.get('logistic') as ModelResult).summaries['none:all']!;
    const shaky = coefficients.find(({ feature }) => feature === 'shaky')!;
    expect([shaky.value, shaky.status]).not.toContain('ok');
    expect(shaky.value).toBe(0);
    expect(coefficients.find(({ feature }) => feature === 'steady')!.value).toBeGreaterThan(0.3);
  });

  it('do not depend on who holds the rows, nor on a difference between scanners', () => {
    const pooled = stabilityOf(run(rows, study('{minimum: 0.7}'), true)).fits['none:all']!;
    const shifted = stabilityOf(
      run(
        patients(1, () => 100),
        study('{minimum: 0.7}'),
      ),
    ).fits['none:all']!;
    for (const j of FEATURES.keys()) {
      expect(pooled.value[j]).toBeCloseTo(result.fits['none:all']!.value[j]!, 12);
      expect(shifted.value[j]).toBeCloseTo(result.fits['none:all']!.value[j]!, 8);
    }
  });

  it('are judged without the site that a fold holds out', () => {
    const replaced = rows.map((row) =>
      row.site === 'cedar'
        ? { ...row, values: row.second.map((value) => -value), second: row.values.map((value) => 3 * value) }
        : row,
    );
    const again = stabilityOf(run(replaced, study('{minimum: 0.7}')));
    const bits = (of: StabilityResult, fit: string) => documentHash(encodeDocument(of.fits[fit]));
    expect(bits(again, 'none:without-cedar')).toBe(bits(result, 'none:without-cedar'));
    expect(bits(again, 'none:all')).not.toBe(bits(result, 'none:all'));
  });

  it('may be judged by the lower end of the interval; sites without repeats, or with few, add nothing', () => {
    const low = stabilityOf(run(rows, study('{minimum: 0.75, judge: low}'))).fits['none:all']!;
    expect(low.value[1]).toBeGreaterThan(0.75);
    expect([...low.keep]).toEqual([1, 0, 0, 1]);
    const three = stabilityOf(run(rows, study('{minimum: 0.7}'), false, ['alder', 'birch', 'cedar'])).fits['none:all']!;
    expect([...three.sites]).toEqual([3, 3, 3, 3]);
    const none = stabilityOf(run(rows, study('{minimum: 0}'), false, SITES, 4)).fits['none:all']!;
    expect([...none.keep]).toEqual([0, 0, 0, 0]);
    expect(none.value.every(Number.isNaN)).toBe(true);
  });

  it('do not count where they never vary: equal readings are no agreement', () => {
    const constant = (values: readonly number[]) => values.map((value, at) => (at === 0 ? 1 / 3 : value));
    const still = rows.map((row) => ({ ...row, values: constant(row.values), second: constant(row.second) }));
    const { fits } = stabilityOf(run(still, study('{minimum: 0.7, kind: "ICC(1,1)"}')));
    for (const { value, keep, subjects } of Object.values(fits)) {
      expect([value[0], keep[0]]).toEqual([Number.NaN, 0]);
      expect(subjects[0]).toBeGreaterThan(0);
    }
  });

  it('need as many readings as the study says', () => {
    expect(() => run(rows, study('{repeats: 3}'))).toThrow(expect.objectContaining({ code: 'COHORT_INVALID' }));
  });
});

describe('what a site accepts of stability', () => {
  const plan = planStudy(study('{minimum: 0.7}'));
  const spec = plan.computations.find(({ computation }) => computation === 'stability')!.spec as StabilitySpec;

  it('is two rounds of known shape and one mark a feature', () => {
    const fits = spec.fits.map(() => ({ exponents: new Int32Array(4) }));
    expect(() => checkStabilityBroadcast(spec, { phase: 'exponents' }, 1)).not.toThrow();
    expect(() => checkStabilityBroadcast(spec, { phase: 'squares', fits }, 2)).not.toThrow();
    const bad: [unknown, number][] = [
      [{ phase: 'squares', fits }, 1],
      [{ phase: 'exponents', more: 1 }, 1],
      [{ phase: 'squares', fits: fits.slice(1) }, 2],
      [{ phase: 'squares', fits: fits.map(() => ({ exponents: new Int32Array(4).fill(4000) })) }, 2],
      [{ phase: 'squares', fits }, 3],
    ];
    for (const [broadcast, iteration] of bad)
      expect(() => checkStabilityBroadcast(spec, broadcast, iteration)).toThrow(ConcordatError);
    const result = (keep: unknown) => ({ fits: Object.fromEntries(spec.fits.map(({ id }) => [id, { keep }])) });
    expect(() => checkStabilityResult(spec, result(new Uint8Array(4)))).not.toThrow();
    for (const keep of [new Uint8Array(3), new Uint8Array(4).fill(2), [0, 0, 0, 0], undefined])
      expect(() => checkStabilityResult(spec, result(keep))).toThrow(ConcordatError);
  });
});
