import { type DescribeResult, describedSitesOf } from '../shared/computations/describe/declaration.js';
import type { Frame } from '../shared/computations/frame.js';
import type { GuardRequest } from '../shared/guard-decision.js';
import type { TensorSpec } from '../shared/tensors.js';

/** One name for all sums over the training sites (and over the external ones that are described with them). */
const KIND = 'study.sites';

/**
 * The guard judges each kind of total apart, because computations that add the same columns add them over the same sites. A
 * site that goes missing between two computations (`onMissingSite: continue`) would undo that: the sums of `describe` with
 * it, less those of `moments` without it, are its own. So the set itself is judged too, as one more kind: everybody who
 * takes part, as later sums were planned, and who is left of them.
 *
 * Nothing in the first round: who takes part is told by the second, which asks over the same sites and no others.
 */
export function setsRequest(
  frame: Frame,
  leaves: readonly TensorSpec[],
  results: ReadonlyMap<string, unknown>,
  survivors: readonly string[],
): GuardRequest['tensors'] {
  const described = results.get('describe') as DescribeResult | undefined;
  const taking = described?.describedSites ?? sitesOf(leaves.filter(({ kind }) => DESCRIBED.includes(kind)));
  const training = taking.filter((site) => frame.training.includes(site));
  const external = described === undefined && describedSitesOf(frame).length > frame.training.length;
  const groups = [training, ...(external ? [taking.filter((site) => frame.external.includes(site))] : [])];
  return groups.flatMap((planned) => {
    const left = planned.filter((site) => survivors.includes(site));
    return [planned, left].filter((sites) => sites.length > 0).map(vectorOf);
  });
}

/** Sums of `describe` that go over everybody whose columns it describes. */
const DESCRIBED = ['describe.sums', 'describe.central', 'describe.histograms'];

function sitesOf(leaves: readonly TensorSpec[]): string[] {
  return [...new Set(leaves.flatMap(({ contributors }) => contributors.map(({ site }) => site)))].sort();
}

function vectorOf(sites: readonly string[]): GuardRequest['tensors'][number] {
  const contributors = sites.map((site) => ({ site, cells: [0] }));
  return { kind: KIND, vector: { scheme: KIND, cells: 1, contributors }, columns: 0, visibility: 'total' };
}
