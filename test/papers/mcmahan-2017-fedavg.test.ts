import { describe, expect, it } from 'vitest';
import { designOf } from '../../shared/computations/design.site.js';
import { fedAvgCoordinator } from '../../shared/computations/fedavg/advance.coordinator.js';
import { fedAvgSite, rowsBySite } from '../../shared/computations/fedavg/contribute.site.js';
import { fedAvgDeclaration, heldBackName, parametersName } from '../../shared/computations/fedavg/declaration.js';
import { Network } from '../../shared/computations/fedavg/network.js';
import type { FedAvgSpec } from '../../shared/computations/frame.js';
import { bySite, fitsOf, frameOf, momentsOf, simulateTable, viewsOf } from '../computations/fedavg-table.js';

// McMahan, Moore, Ramage, Hampson, Aguera y Arcas, "Communication-Efficient Learning of Deep Networks from
// Decentralized Data", AISTATS 2017. Deliberate differences: every site takes part in every round (C = 1), SGD has
// momentum as an option, and a fifth of each site's patients is held back to decide when to stop.

const patients = simulateTable(5, { sizes: { alder: 50, birch: 35, cedar: 20 }, cells: 1 });
const frame = frameOf(['alder', 'birch', 'cedar'], [], 3, 1);
const fits = fitsOf(frame, 'none', []);
const fit = fits[0]!;
const results = new Map<string, unknown>([['moments', momentsOf(frame, fits, patients)]]);
const spec: FedAvgSpec = {
  frame,
  fits,
  model: 'mlp',
  covariates: false,
  hidden: [3],
  activation: 'tanh',
  learningRate: 0.1,
  momentum: 0,
  l2: 0,
  batchSize: 100_000,
  localEpochs: 1,
  maxRounds: 5,
  patience: 5,
};

function oneRound(of: FedAvgSpec) {
  const views = viewsOf(frame, bySite(patients), results);
  const start = fedAvgCoordinator.start(of, results);
  const contributions = views.map((view) => fedAvgSite.contribute(of, start.broadcast, view));
  const values = new Map<string, Float64Array>();
  for (const leaf of fedAvgDeclaration.leaves(of, start.broadcast)) {
    const sum = new Float64Array(leaf.shape[0]!);
    for (const contribution of contributions)
      for (const [k, value] of contribution.get(leaf.name)!.entries()) sum[k]! += value;
    values.set(leaf.name, sum);
  }
  const next = fedAvgCoordinator.advance(of, start.state, { sites: frame.training, values });
  return {
    views,
    contributions,
    before: start.broadcast.fits[0]!.parameters,
    after: next.kind === 'step' ? next.broadcast.fits[0]!.parameters : new Float64Array(),
  };
}

describe('section 2', () => {
  it('FedSGD: one local step on the full local batch is one step on the gradient of f(w) = sum n_k/n F_k(w)', () => {
    const { before, after } = oneRound(spec);
    const view = viewsOf(frame, [patients], results)[0]!;
    const { z, p } = designOf(view, fit, false);
    const rows = Int32Array.from(rowsBySite(spec, fit, view).flatMap(({ train }) => [...train]));
    const network = new Network({ inputs: p, hidden: [3], activation: 'tanh' });
    const gradient = new Float64Array(before.length);
    const { outcome } = view.cohort;
    if (outcome.type !== 'binary') throw new Error('the table is binary');
    network.objective(before, z, outcome.y, rows, 0, gradient);
    // Rounding of n_k w_k to 2^-32 leaves less than 3 * 2^-33 / n.
    for (let k = 0; k < before.length; k++)
      expect(Math.abs(after[k]! - (before[k]! - 0.1 * gradient[k]!))).toBeLessThan(1e-10);
  });

  it('Algorithm 1: the new model is the average of the local ones weighted by n_k / n', () => {
    const { contributions, after } = oneRound({ ...spec, batchSize: 8, localEpochs: 4, momentum: 0.9 });
    const counts = contributions.map((contribution) => contribution.get(heldBackName(fit))![0]!);
    expect(counts).toEqual([40, 28, 16]);
    const n = counts.reduce((sum, count) => sum + count, 0);
    for (let k = 0; k < after.length; k++) {
      const local = contributions.map((contribution, i) => contribution.get(parametersName(fit))![k]! / counts[i]!);
      const average = local.reduce((sum, value, i) => sum + (counts[i]! / n) * value, 0);
      expect(Math.abs(after[k]! - average)).toBeLessThan(1e-12);
      expect(new Set(local).size).toBe(3);
    }
  });

  it('all sites start a round from the same parameters, drawn once by the coordinator', () => {
    const { before } = oneRound(spec);
    expect(oneRound(spec).before).toEqual(before);
    expect(oneRound({ ...spec, frame: { ...frame, seed: 12 } }).before).not.toEqual(before);
  });
});
