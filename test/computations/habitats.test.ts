import { describe, expect, it } from 'vitest';
import { habitatsCoordinator } from '../../shared/computations/habitats/advance.coordinator.js';
import { checkHabitatsBroadcast } from '../../shared/computations/habitats/check-broadcast.js';
import { habitatsSite } from '../../shared/computations/habitats/contribute.site.js';
import {
  CELLS_AT_START,
  type HabitatsBroadcast,
  type HabitatsSpec,
  habitatsDeclaration,
} from '../../shared/computations/habitats/declaration.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { frameOfTable, type TestTable, viewsOfTable } from '../support/views.js';

const SITES = ['alder', 'birch', 'cedar'];
/** Where the three kinds of tissue lie, from 0 to 1. */
const TISSUE = [
  [0.2, 0.3],
  [0.5, 0.8],
  [0.8, 0.4],
] as const;
const VOXELS = 80;

interface Patient {
  readonly site: string;
  readonly points: Float64Array;
}

function patients(
  perSite: number,
  kindsOf: (site: string, at: number) => readonly number[] = () => [0, 1, 2],
): Patient[] {
  return SITES.flatMap((site) => {
    const random = seededRandom('habitats', site);
    return Array.from({ length: perSite }, (_, at): Patient => {
      const kinds = kindsOf(site, at);
      const points = Array.from({ length: VOXELS }, (_, voxel) => {
        const centre = TISSUE[kinds[voxel % kinds.length]!]!;
        return centre.map((value) => Math.min(1, Math.max(0, value + 0.05 * random.normal())));
      });
      return { site, points: Float64Array.from(points.flat()) };
    });
  });
}

function specOf(of: readonly Patient[], more: Partial<HabitatsSpec['frame']> = {}): HabitatsSpec {
  const frame = frameOfTable(tableOf(of), { minimumCount: 5, minSites: 3, ...more });
  const scale = { phase: 'arterial', range: [0, 200] as [number, number], radiusMm: 3, bins: 32 };
  return { frame, ...scale, count: 3, voxels: VOXELS, iterations: 20, standardized: null };
}
const tableOf = (of: readonly Patient[]): TestTable => ({
  site: of.map(({ site }) => site),
  features: ['f'],
  x: of.map(() => [0]),
  y: of.map((_, at) => at % 2),
});

function run(of: readonly Patient[], options: { oneHolder?: boolean; spec?: HabitatsSpec } = {}) {
  const spec = options.spec ?? specOf(of);
  const views = viewsOfTable(tableOf(of), new Map(), options.oneHolder === true ? () => 'all' : undefined).map(
    (view) => {
      const points = view.cohort.ids.map((id) => of[Number(id)]!.points);
      return { ...view, cohort: { ...view.cohort, learned: { points } } };
    },
  );
  const asked: HabitatsBroadcast[] = [];
  const totals: Map<string, Float64Array>[] = [];
  const coordinator: typeof habitatsCoordinator = {
    ...habitatsCoordinator,
    advance: (its, state, total) => {
      totals.push(new Map(total.values));
      return habitatsCoordinator.advance(its, state, total);
    },
  };
  const site: typeof habitatsSite = {
    ...habitatsSite,
    contribute: (its, broadcast, view) => {
      if (asked.at(-1) !== broadcast) asked.push(broadcast);
      checkHabitatsBroadcast(its, broadcast, asked.length);
      return habitatsSite.contribute(its, broadcast, view);
    },
  };
  const { result } = runInMemory({ declaration: habitatsDeclaration, site, coordinator }, spec, views);
  return { result, asked, totals };
}

/** Slow twin: Lloyd's k-means over all patients' voxels at once, without sites, sums or rounding. */
function twin(of: readonly Patient[], start: readonly (readonly number[])[]): number[][] {
  let centroids = start.map((centre) => [...centre]);
  for (let step = 0; step < 50; step++) {
    const members = centroids.map((): { w: number; p: number[] }[] => []);
    for (const { points } of of)
      for (let at = 0; at < points.length; at += 2) {
        const p = [points[at]!, points[at + 1]!];
        const far = centroids.map((c) => Math.hypot(c[0]! - p[0]!, c[1]! - p[1]!));
        members[far.indexOf(Math.min(...far))]!.push({ w: 2 / points.length, p });
      }
    centroids = members.map((own) => {
      const whole = own.reduce((sum, { w }) => sum + w, 0);
      return [0, 1].map((axis) => own.reduce((sum, { w, p }) => sum + w * p[axis]!, 0) / whole);
    });
  }
  return centroids;
}

describe('habitats of several hospitals', () => {
  it('are those of one holder of all patients to the bit, and of k-means over all voxels within the rounding', () => {
    const all = patients(20);
    const { result } = run(all);
    expect(run(all, { oneHolder: true }).result).toEqual(result);
    expect([result.sites, result.patients, result.converged]).toEqual([3, 60, true]);
    const expected = twin(all, TISSUE);
    for (const [at, { intensity, entropy, share }] of result.habitats!.entries()) {
      // An eighth of a patient at most in each of three sites' sums, of 20 patients' voxels in a habitat.
      expect(Math.abs(intensity / 200 - expected[at]![0]!)).toBeLessThan((2 * 3 * 0.125) / 20);
      expect(Math.abs(entropy / 5 - expected[at]![1]!)).toBeLessThan((2 * 3 * 0.125) / 20);
      expect(share).toBeCloseTo(1 / 3, 1);
    }
  });

  it('come in ascending intensity, and patients with more voxels do not weigh more', () => {
    const all = patients(20);
    const { result } = run(all);
    const intensities = result.habitats!.map(({ intensity }) => intensity);
    expect(intensities).toEqual([...intensities].sort((a, b) => a - b));
    // The same voxels ten times over.
    const longer = all.map((patient, at) =>
      at % 2 === 0
        ? patient
        : { ...patient, points: Float64Array.from(Array.from({ length: 10 }, () => [...patient.points]).flat()) },
    );
    expect(run(longer).result).toEqual(result);
  });
});

describe('habitats of few', () => {
  it('a group of voxels of too few patients, or of too few sites, is in no total', () => {
    // Bright tissue in four patients of each site, and dark tissue at two sites only.
    const rare = patients(20, (site, at) => [...(site === 'cedar' ? [] : [0]), 1, ...(at < 4 ? [2] : [])]);
    const { result, asked, totals } = run(rare);
    for (const [round, broadcast] of asked.entries()) {
      if (broadcast.phase !== 'sites') continue;
      const sites = totals[round]!.get('sites')!;
      const next = asked[round + 1];
      if (next?.phase !== 'cells') continue;
      for (const cell of next.shown) expect(sites[cell]).toBe(3);
      if (broadcast.centroids.length > 0) continue;
      for (let cell = 0; cell < CELLS_AT_START; cell++) {
        const middle = (cell + 0.5) / CELLS_AT_START;
        if (middle > 0.72) expect(sites[cell]).toBe(0);
        if (middle < 0.3) expect(sites[cell]).toBeLessThan(3);
      }
    }
    // Whatever was shown, in every round: recounted from the voxels, patient by patient.
    for (const broadcast of asked)
      if (broadcast.phase === 'cells' && broadcast.centroids.length > 0)
        for (const cell of broadcast.shown)
          for (const site of SITES) {
            const weights = rare
              .filter((patient) => patient.site === site)
              .map(({ points }) => {
                let inside = 0;
                for (let at = 0; at < points.length; at += 2) {
                  const far = [0, 1, 2].map((c) =>
                    Math.hypot(
                      broadcast.centroids[2 * c]! - points[at]!,
                      broadcast.centroids[2 * c + 1]! - points[at + 1]!,
                    ),
                  );
                  if (far.indexOf(Math.min(...far)) === cell) inside++;
                }
                return inside;
              });
            expect(
              weights.filter((weight) => weight > 0 && weight >= Math.max(...weights) / 10).length,
            ).toBeGreaterThanOrEqual(5);
          }
    expect(result.habitats).toHaveLength(3);
    // Nobody learns anything from two sites.
    expect(
      run(
        rare.filter(({ site }) => site !== 'cedar'),
        { spec: specOf(rare) },
      ).result.habitats,
    ).toBeNull();
  });

  it('an attacker who knows all voxels but one patient’s learns from totals only what a quarter of a patient tells', () => {
    const all = patients(12);
    const victim = all[5]!;
    // Two patients who differ in where a twentieth of their voxels lie: unlike in every single voxel of it.
    const moved = Float64Array.from(victim.points);
    for (let at = 0; at < moved.length / 20; at++) moved[at] = 1 - moved[at]!;
    const other = all.map((patient) => (patient === victim ? { ...patient, points: moved } : patient));
    const spec = specOf(all);
    const broadcast: HabitatsBroadcast = {
      phase: 'cells',
      centroids: Float64Array.from(TISSUE.flat()),
      shown: Int32Array.from([0, 1, 2]),
    };
    const contributed = (of: readonly Patient[]) => {
      const [view] = viewsOfTable(tableOf(of), new Map());
      const cohort = { ...view!.cohort, learned: { points: view!.cohort.ids.map((id) => of[Number(id)]!.points) } };
      return habitatsSite.contribute(spec, broadcast, { ...view!, cohort }).get('cells')!;
    };
    const [before, after] = [contributed(all), contributed(other)];
    for (const [at, value] of before.entries()) {
      expect(Number.isInteger(4 * value)).toBe(true);
      // One rounding step or none, whatever the voxels are.
      expect([0, 0.25]).toContain(Math.abs(after[at]! - value));
    }
  });
});

describe('what the coordinator may ask', () => {
  it('is one of the rounds, in turn, with centroids on the scale', () => {
    const spec = specOf(patients(6));
    const refuses = (broadcast: unknown, iteration: number) =>
      expect(() => checkHabitatsBroadcast(spec, broadcast, iteration)).toThrow(ConcordatError);
    const centroids = new Float64Array(6).fill(0.5);
    expect(() => checkHabitatsBroadcast(spec, { phase: 'sites', centroids }, 3)).not.toThrow();
    refuses({ phase: 'cells', centroids, shown: new Int32Array(0) }, 3);
    refuses({ phase: 'sites', centroids: centroids.slice(2) }, 3);
    refuses({ phase: 'sites', centroids: centroids.with(0, 1.5) }, 3);
    refuses({ phase: 'sites', centroids: centroids.with(0, Number.NaN) }, 3);
    refuses({ phase: 'sites', centroids }, 1);
    refuses({ phase: 'sites', centroids }, 2 * spec.iterations + 3);
    refuses({ phase: 'cells', centroids, shown: Int32Array.from([3]) }, 4);
  });
});
