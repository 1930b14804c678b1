import { EMPTY_GUARD, guardRequest, type KindState, spanOfKind, tooFew, withRequest } from './guard-decision.js';
import { type Atom, fewestPatients, isolatedGroups, spanOf } from './guard-span.js';
import { modelName, type Study, studySites } from './study.js';
import type { TensorSpec } from './tensors.js';

/** What a whole study would show about groups of fewer than minSites sites, before anyone approves it. */
export interface StudyCheck {
  /** False where a site's guard would refuse a round: an isolation that is not declared, or too few cases in one. */
  readonly ok: boolean;
  readonly isolated: readonly CheckedIsolation[];
  /** Models that run in simulate with one holder of all rows only; see disclosiveModels. */
  readonly disclosive: readonly string[];
}

export interface CheckedIsolation {
  readonly sites: readonly string[];
  /** Kinds of totals that together show these sites alone. */
  readonly kinds: readonly string[];
  /** Metrics and descriptions that the study shows per site on purpose; listed apart from what totals give away. */
  readonly byDesign: boolean;
  /** By design, or all sites of the group signed showAggregate. */
  readonly declared: boolean;
  readonly undeclared: readonly string[];
  /** Cases that each site of the group needs so that every piece shown of it passes the single-site rules. */
  readonly casesNeeded: number;
  /** Fewest cases of a site of the group, where the counts are known. */
  readonly cases: number | null;
  /** Sites of the group whose guard would refuse for too few cases in a piece; empty where counts are unknown. */
  readonly tooFew: readonly string[];
}

const SCHEME = 'plan';

/**
 * Models whose totals give patients away however many sites are in them: Cox regression over risk sets of all sites. The
 * sums at two event times that follow each other differ by the patients who left in between, mostly a single one.
 */
export function disclosiveModels(study: Study): string[] {
  return [study.model, ...study.comparators]
    .filter((model) => model.type === 'cox' && model.strata === 'none')
    .map(modelName);
}

/**
 * Evaluates every round of a study as one design: what the span of all its totals shows. `rounds` are the declared
 * tensors of each round: a preview with everything at its largest, or those of a simulated run, which knows better how wide
 * each moment matrix gets.
 * `cellCounts` gives each site's cases per inner fold where they are known; otherwise equal cells are assumed.
 */
export function checkStudyPlan(
  rounds: readonly (readonly TensorSpec[])[],
  study: Study,
  cellCounts: Readonly<Record<string, readonly number[]>> | null,
): StudyCheck {
  const { minSites, showAggregate, minimumCohort } = study.privacy;
  const sites = studySites(study);
  const cells = Math.max(1, study.validation.folds);
  let state = EMPTY_GUARD;
  for (const leaves of rounds) state = withRequest(state, guardRequest(leaves, sites, SCHEME, cells)).state;

  const groups = new Map<string, CheckedIsolation>();
  for (const [kind, kindState] of Object.entries(state.kinds)) {
    const agreed = new Set([...showAggregate, ...kindState.open]);
    for (const group of isolatedGroups(spanOfKind(kindState), minSites)) {
      const byDesign = group.every((site) => kindState.open.includes(site));
      const key = [String(byDesign), ...group].join('\n');
      const known = groups.get(key);
      const undeclared = group.filter((site) => !agreed.has(site));
      const refusing = group.filter((site) => {
        const counts = cellCounts?.[site];
        if (counts === undefined) return false;
        const own = { site, atoms: atomsOf(counts) };
        return tooFew(kindState, { minSites, showAggregate, minimumCohort, own }) !== null;
      });
      const counts = group.map((site) => cellCounts?.[site]?.reduce((sum, n) => sum + n, 0));
      const allUndeclared = [...new Set([...(known?.undeclared ?? []), ...undeclared])].sort();
      groups.set(key, {
        sites: group,
        kinds: [...(known?.kinds ?? []), kind].sort(),
        byDesign,
        declared: allUndeclared.length === 0,
        undeclared: allUndeclared,
        casesNeeded: Math.max(
          known?.casesNeeded ?? 0,
          ...group.map((site) => needed(kindState, study, group, site, cells)),
        ),
        cases: counts.every((count) => count !== undefined) ? Math.min(...counts) : null,
        tooFew: [...new Set([...(known?.tooFew ?? []), ...refusing])].sort(),
      });
    }
  }
  const isolated = [...groups.values()].sort(
    (a, b) =>
      Number(a.byDesign) - Number(b.byDesign) ||
      a.sites.length - b.sites.length ||
      (a.sites.join() < b.sites.join() ? -1 : 1),
  );
  const disclosive = disclosiveModels(study);
  const safe = isolated.every((entry) => entry.declared && entry.tooFew.length === 0);
  return { ok: safe && disclosive.length === 0, isolated, disclosive };
}

function atomsOf(counts: readonly number[]): Atom[] {
  return counts.map((n, cell) => ({ cells: { [SCHEME]: cell }, n }));
}

/** Cases that a site of equal cells needs: the smallest piece shown must hold minimumCohort cases, and more than p. */
function needed(state: KindState, study: Study, group: readonly string[], site: string, cells: number): number {
  const single = atomsOf(new Array<number>(cells).fill(1));
  const forPiece = (pieceCells: number, cases: number) =>
    Number.isFinite(pieceCells) ? Math.ceil((cases * cells) / pieceCells) : 0;
  const wholeSpan = spanOfKind(state);
  let most = forPiece(fewestPatients(wholeSpan, group, site, single), study.privacy.minimumCohort);
  for (const level of new Set(state.vectors.map((vector) => vector.columns))) {
    if (level === 0) continue;
    const span = spanOf(state.vectors.filter((vector) => vector.columns >= level));
    most = Math.max(most, forPiece(fewestPatients(span, group, site, single), level + 1));
  }
  return most;
}
