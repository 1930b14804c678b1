import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { type Fit, fitContributors, fitId } from '../../shared/fits.js';
import { seededRandom } from '../../shared/rng.js';
import type { TensorSpec } from '../../shared/tensors.js';
import {
  EMPTY_GUARD,
  type GuardRules,
  type GuardState,
  guardDecision,
  guardRequest,
  overlapDecision,
  ownAtoms,
  ownCohort,
} from '../../site-agent/guard.js';

/**
 * An attacker who holds every total of a study and does linear algebra. Each site x cell has a secret contribution of
 * four numbers; a total is their sum over the cells that its fit uses.
 */
const SITES = ['alder', 'birch', 'cedar', 'dogwood', 'elm'];
const WIDTH = 4;

function fits(groups: readonly (readonly string[])[], cells: number, sites: readonly string[] = SITES): Fit[] {
  const inner = cells > 1 ? [null, ...Array.from({ length: cells }, (_, cell) => cell)] : [null];
  return [[], ...groups].flatMap((heldOut) =>
    inner.map((cell) => {
      const outer = heldOut.length === 0 ? 'all' : `without-${heldOut.join('+')}`;
      const left = sites.filter((site) => !heldOut.includes(site));
      return { id: fitId('combat', outer, cell), arm: 'combat' as const, outer, inner: cell, sites: left, heldOut };
    }),
  );
}

function leaves(list: readonly Fit[], cells: number, momentColumns = 0): TensorSpec[] {
  return list.map((fit) => ({
    name: `${fit.id}/gradient`,
    kind: 'logistic.gradient',
    shape: [WIDTH],
    bound: 100,
    ring: 128,
    fractionBits: 80,
    contributors: fitContributors(fit, cells),
    visibility: 'total',
    momentColumns,
    fold: fit.outer,
    meaning: 'test',
  }));
}

/** Secrets of every (site, cell), and the total of one tensor. */
function secrets(cells: number): Map<string, number[]> {
  const random = seededRandom('attacker', cells);
  return new Map(
    SITES.flatMap((site) =>
      Array.from({ length: cells }, (_, cell) => [
        `${site}/${cell}`,
        Array.from({ length: WIDTH }, () => random.normal()),
      ]),
    ),
  );
}

interface Release {
  readonly indicator: number[];
  readonly total: number[];
}

function release(spec: TensorSpec, hidden: Map<string, number[]>): Release {
  const members = new Set(spec.contributors.flatMap(({ site, cells }) => cells.map((cell) => `${site}/${cell}`)));
  const total = new Array<number>(WIDTH).fill(0);
  for (const [key, values] of hidden)
    if (members.has(key)) for (let at = 0; at < WIDTH; at++) total[at]! += values[at]!;
  return { indicator: [...hidden.keys()].map((key) => (members.has(key) ? 1 : 0)), total };
}

/** Weights w with sum of w * indicators = target, or null; by the pseudo-inverse. */
function attack(releases: readonly Release[], target: readonly number[]): number[] | null {
  if (releases.length === 0) return null;
  const design = new Matrix(releases.map(({ indicator }) => indicator)).transpose();
  const wanted = Matrix.columnVector([...target]);
  const weights = new SingularValueDecomposition(design, { autoTranspose: true }).solve(wanted);
  const missed = Matrix.sub(design.mmul(weights), wanted).norm('frobenius');
  if (missed > 1e-8) return null;
  return Array.from({ length: WIDTH }, (_, at) =>
    releases.reduce((sum, { total }, index) => sum + weights.get(index, 0) * total[at]!, 0),
  );
}

/** What the attacker learns about each site alone: the largest error of the value, or null. */
function learned(releases: readonly Release[], hidden: Map<string, number[]>): (number | null)[] {
  const keys = [...hidden.keys()];
  return SITES.map((site) => {
    const got = attack(
      releases,
      keys.map((key) => (key.startsWith(`${site}/`) ? 1 : 0)),
    );
    if (got === null) return null;
    const truth = Array.from({ length: WIDTH }, (_, at) =>
      keys.reduce((sum, key) => sum + (key.startsWith(`${site}/`) ? hidden.get(key)![at]! : 0), 0),
    );
    return Math.max(...got.map((value, at) => Math.abs(value - truth[at]!)));
  });
}

const STRICT: GuardRules = { minSites: 3, showAggregate: [], minimumCohort: 10, own: null };

/** Releases tensor by tensor, each its own round, as long as the guard agrees. */
function guarded(specs: readonly TensorSpec[], cells: number, rules: GuardRules) {
  let state: GuardState = EMPTY_GUARD;
  const released: TensorSpec[] = [];
  const refused: string[] = [];
  for (const spec of specs) {
    const decision = guardDecision(state, guardRequest([spec], SITES, 's', cells), rules);
    if (decision.ok) {
      state = decision.state;
      released.push(spec);
    } else refused.push(decision.code);
  }
  return { released, refused };
}

describe('an attacker with all leave-one-site-out totals', () => {
  const cells = 5;
  const hidden = secrets(cells);
  const specs = leaves(
    fits(
      SITES.map((site) => [site]),
      cells,
    ),
    cells,
  );

  it('reads every site exactly when the guard is off', () => {
    const errors = learned(
      specs.map((spec) => release(spec, hidden)),
      hidden,
    );
    // Pseudo-inverse of a well-conditioned 0/1 design in double precision.
    for (const error of errors) expect(error).toBeLessThan(1e-10);
  });

  it('gets nothing when it is on: the round that would isolate is refused whole', () => {
    const decision = guardDecision(EMPTY_GUARD, guardRequest(specs, SITES, 's', cells), STRICT);
    expect(decision.ok).toBe(false);
    if (decision.ok) return;
    expect(decision.code).toBe('POLICY_GUARD_ISOLATES');
    expect(decision.isolated.map(({ sites }) => sites)).toEqual(SITES.map((site) => [site]));
    expect(decision.message).toContain('alder');
  });

  it('gets nothing tensor by tensor either', () => {
    const { released, refused } = guarded(specs, cells, STRICT);
    expect(refused.length).toBeGreaterThan(0);
    expect(released.length).toBeGreaterThan(0);
    expect(
      learned(
        released.map((spec) => release(spec, hidden)),
        hidden,
      ),
    ).toEqual(SITES.map(() => null));
  });

  it('is let through where every isolated site declared it, and only there', () => {
    const all = guardDecision(EMPTY_GUARD, guardRequest(specs, SITES, 's', cells), { ...STRICT, showAggregate: SITES });
    expect(all.ok).toBe(true);
    const allButOne = guardDecision(EMPTY_GUARD, guardRequest(specs, SITES, 's', cells), {
      ...STRICT,
      showAggregate: SITES.slice(1),
    });
    expect(allButOne.ok).toBe(false);
    if (!allButOne.ok) expect(allButOne.isolated.map(({ undeclared }) => undeclared)).toEqual([['alder']]);
  });

  it('cannot use a site that is missing from one round: survivor sets count like folds', () => {
    const everyone = leaves(fits([], 1), 1);
    const first = guardDecision(EMPTY_GUARD, guardRequest(everyone, SITES, 's', 1), STRICT);
    expect(first.ok).toBe(true);
    if (!first.ok) return;
    const without = guardDecision(first.state, guardRequest(everyone, SITES.slice(1), 's', 1), STRICT);
    expect(without.ok).toBe(false);
    const again = guardDecision(first.state, guardRequest(everyone, SITES, 's', 1), STRICT);
    expect(again.ok && again.state === first.state).toBe(true);
  });
});

describe('designs that leave out pairs', () => {
  const ring = SITES.map((site, index) => [site, SITES[(index + 1) % SITES.length]!].sort());

  it('an odd ring of pairs gives each site away: exactly when off, refused when on', () => {
    const hidden = secrets(1);
    const specs = leaves(fits(ring, 1), 1);
    const errors = learned(
      specs.map((spec) => release(spec, hidden)),
      hidden,
    );
    for (const error of errors) expect(error).toBeLessThan(1e-10);
    // With minSites 2 a pair alone may be shown. Two pairs that do not meet leave one site over: the three last pairs.
    const { released, refused } = guarded(specs, 1, { ...STRICT, minSites: 2 });
    expect(refused).toHaveLength(3);
    expect(
      learned(
        released.map((spec) => release(spec, hidden)),
        hidden,
      ),
    ).toEqual(SITES.map(() => null));
  });

  it('with minSites 3 not even the first pair is left out', () => {
    const { released, refused } = guarded(leaves(fits(ring, 1), 1), 1, STRICT);
    expect(released).toHaveLength(1);
    expect(refused).toHaveLength(5);
  });
});

describe('single-site rules for what may be isolated', () => {
  const declared: GuardRules = { ...STRICT, showAggregate: SITES };
  const cut = (patients: number, cells: number) =>
    ownAtoms(
      's',
      cells,
      Array.from({ length: patients }, (_, row) => row % cells),
      new Uint8Array(patients).fill(1),
    );

  it('ten inner folds at a site of twenty isolate two patients: refused', () => {
    const specs = leaves(
      fits(
        SITES.map((site) => [site]),
        10,
      ),
      10,
    );
    const request = guardRequest(specs, SITES, 's', 10);
    const small = guardDecision(EMPTY_GUARD, request, { ...declared, own: { site: 'birch', atoms: cut(20, 10) } });
    expect(small.ok).toBe(false);
    if (!small.ok) expect(small.code).toBe('POLICY_GUARD_TOO_FEW');
    const large = guardDecision(EMPTY_GUARD, request, { ...declared, own: { site: 'birch', atoms: cut(100, 10) } });
    expect(large.ok).toBe(true);
    // Without leave-one-site-out the same inner folds isolate nobody.
    const pooled = guardRequest(leaves(fits([], 10), 10), SITES, 's', 10);
    expect(guardDecision(EMPTY_GUARD, pooled, { ...STRICT, own: { site: 'birch', atoms: cut(20, 10) } }).ok).toBe(true);
  });

  it('a moment matrix needs more patients than columns in every isolated cell', () => {
    const own = { site: 'birch', atoms: cut(100, 5) };
    const groups = SITES.map((site) => [site]);
    const request = (columns: number) => guardRequest(leaves(fits(groups, 5), 5, columns), SITES, 's', 5);
    expect(guardDecision(EMPTY_GUARD, request(19), { ...declared, own }).ok).toBe(true);
    expect(guardDecision(EMPTY_GUARD, request(20), { ...declared, own }).ok).toBe(false);
  });

  it('judges a matrix only with those that are as wide', () => {
    const own = { site: 'birch', atoms: cut(100, 5) };
    const groups = SITES.map((site) => [site]);
    // The whole site is isolated with 30 columns (100 > 30), its cells of 20 only with 10 columns.
    const specs = leaves(fits(groups, 5), 5).map((spec) => ({
      ...spec,
      momentColumns: spec.name.includes('/gradient') && /\/\d+\/gradient/.test(spec.name) ? 10 : 30,
    }));
    expect(guardDecision(EMPTY_GUARD, guardRequest(specs, SITES, 's', 5), { ...declared, own }).ok).toBe(true);
  });
});

describe('two studies that cut one cohort differently', () => {
  const patients = 100;
  const counted = new Uint8Array(patients).fill(1);
  const first = Array.from({ length: patients }, (_, row) => row % 5);
  const declared = (scheme: string, cellOf: number[]): GuardRules => ({
    ...STRICT,
    showAggregate: SITES,
    own: ownCohort('birch', scheme, 5, cellOf, counted),
  });
  const request = (scheme: string) =>
    guardRequest(
      leaves(
        fits(
          SITES.map((site) => [site]),
          5,
        ),
        5,
      ),
      SITES,
      scheme,
      5,
    );
  const started = guardDecision(EMPTY_GUARD, request('one'), declared('one', first));

  it('are judged together: cells that differ by two patients show those two', () => {
    expect(started.ok).toBe(true);
    if (!started.ok) return;
    const kept = JSON.parse(JSON.stringify(started.state)) as GuardState;
    const swapped = [...first];
    [swapped[0], swapped[1]] = [swapped[1]!, swapped[0]!];
    const near = guardDecision(kept, request('two'), declared('two', swapped));
    expect(near.ok).toBe(false);
    if (!near.ok) expect(near.code).toBe('POLICY_GUARD_TOO_FEW');
    const other = Array.from({ length: patients }, (_, row) => Math.floor(row / 5) % 5);
    expect(guardDecision(kept, request('two'), declared('two', other)).ok).toBe(true);
  });

  it('an unknown earlier cut is refused, not guessed', () => {
    if (!started.ok) return;
    const forgotten: GuardState = { kinds: started.state.kinds };
    expect(guardDecision(forgotten, request('two'), declared('two', first)).ok).toBe(false);
  });
});

describe('two studies on one site', () => {
  const cases = Array.from({ length: 40 }, (_, index) => `hash-${index}`);
  const a = { study: 'first', cases };

  it('one patient apart are refused, equal or far apart are not', () => {
    const oneLess = overlapDecision([a], { study: 'second', cases: cases.slice(1) }, 5);
    expect(oneLess.ok).toBe(false);
    if (!oneLess.ok) {
      expect(oneLess.code).toBe('POLICY_COHORT_OVERLAP');
      expect(oneLess.message).toContain('"first"');
      expect(oneLess.message).not.toContain('hash-');
    }
    expect(overlapDecision([a], { study: 'second', cases }, 5).ok).toBe(true);
    expect(overlapDecision([a], { study: 'second', cases: cases.slice(5) }, 5).ok).toBe(true);
    expect(overlapDecision([a], { study: 'second', cases: cases.slice(4) }, 5).ok).toBe(false);
  });

  it('three studies that add up to one patient are refused', () => {
    const halves = [
      { study: 'left', cases: cases.slice(0, 20) },
      { study: 'right', cases: cases.slice(20, 39) },
    ];
    expect(overlapDecision(halves, { study: 'both', cases: cases.slice(0, 39) }, 5).ok).toBe(true);
    expect(overlapDecision(halves, { study: 'both', cases }, 5).ok).toBe(false);
  });
});
