import type { SiteView } from '../cohort.site.js';
import { assert } from '../errors.js';
import { addInto, decodeTensor, encodeTensor } from '../fixed-point.js';
import { type Total, tensorSize } from '../tensors.js';
import type { CoordinatorHalf, Declaration, SiteHalf } from './computation.js';

/** One computation over several holders in one process, through the same fixed-point ring as over the network. */
export function runInMemory<Spec, Broadcast, State, Result>(
  halves: {
    readonly declaration: Declaration<Spec, Broadcast>;
    readonly site: SiteHalf<Spec, Broadcast>;
    readonly coordinator: CoordinatorHalf<Spec, Broadcast, State, Result>;
  },
  spec: Spec,
  views: readonly SiteView[],
  results: ReadonlyMap<string, unknown> = new Map(),
): { result: Result; rounds: number } {
  let step = halves.coordinator.start(spec, results);
  for (let rounds = 1; ; rounds++) {
    const total = sumOverViews(halves, spec, step.broadcast, views);
    const next = halves.coordinator.advance(spec, step.state, total);
    if (next.kind === 'done') return { result: next.result, rounds };
    step = next;
  }
}

function sumOverViews<Spec, Broadcast>(
  halves: { readonly declaration: Declaration<Spec, Broadcast>; readonly site: SiteHalf<Spec, Broadcast> },
  spec: Spec,
  broadcast: Broadcast,
  views: readonly SiteView[],
): Total {
  const leaves = halves.declaration.leaves(spec, broadcast);
  const contributions = views.map((view) => halves.site.contribute(spec, broadcast, view));
  const values = new Map<string, Float64Array>();
  for (const leaf of leaves) {
    let words: BigUint64Array | undefined;
    for (const contribution of contributions) {
      const own = contribution.get(leaf.name) ?? new Float64Array(tensorSize(leaf));
      assert(own.length === tensorSize(leaf), `${leaf.name} has ${own.length} entries, declared ${tensorSize(leaf)}`);
      const encoded = encodeTensor(leaf, own, contributions.length);
      if (words === undefined) words = encoded;
      else addInto(words, encoded, leaf.ring);
    }
    assert(words !== undefined, 'a round needs at least one holder');
    values.set(leaf.name, decodeTensor(leaf, words));
  }
  for (const contribution of contributions)
    for (const name of contribution.keys()) assert(values.has(name), `tensor ${name} was not declared`);
  return { sites: [...new Set(views.flatMap((view) => [...view.cohort.sites]))].sort(), values };
}
