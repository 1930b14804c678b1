import { describe, expect, it } from 'vitest';
import { fedAvgCoordinator } from '../../shared/computations/fedavg/advance.coordinator.js';
import { fedAvgSite, rowsBySite } from '../../shared/computations/fedavg/contribute.site.js';
import { fedAvgDeclaration, fractionBitsFor, PARAMETER_LIMIT } from '../../shared/computations/fedavg/declaration.js';
import {
  initialParameters,
  Network,
  type NetworkShape,
  parameterCount,
  trainEpochs,
} from '../../shared/computations/fedavg/network.js';
import type { FedAvgSpec, FittedModel } from '../../shared/computations/frame.js';
import { runInMemory } from '../../shared/computations/run-in-memory.js';
import { powerOfTwo } from '../../shared/fixed-point.js';
import { seededRandom } from '../../shared/rng.js';
import { twinLogit, twinObjective, twinTrain } from '../twins/mlp.js';
import { bySite, fitsOf, frameOf, momentsOf, type Patient, simulateTable, viewsOf } from './fedavg-table.js';

const halves = { declaration: fedAvgDeclaration, site: fedAvgSite, coordinator: fedAvgCoordinator };

const shapes: NetworkShape[] = [
  { inputs: 4, hidden: [5], activation: 'tanh' },
  { inputs: 3, hidden: [4, 3], activation: 'tanh' },
  { inputs: 3, hidden: [6, 2], activation: 'relu' },
];

function randomRows(shape: NetworkShape, n: number) {
  const random = seededRandom('mlp test', shape.inputs, n);
  const z = Float64Array.from({ length: n * shape.inputs }, () => random.normal());
  const y = Uint8Array.from({ length: n }, () => random.integer(2));
  const rows = Array.from(y, (label, i) => ({
    x: [...z.subarray(i * shape.inputs, (i + 1) * shape.inputs)],
    y: label,
  }));
  return { z, y, rows };
}

describe.each(shapes)('network $hidden $activation', (shape) => {
  const { z, y, rows } = randomRows(shape, 30);
  const parameters = initialParameters(shape, seededRandom('start'));
  const all = Int32Array.from(y, (_, i) => i);
  const gradient = new Float64Array(parameterCount(shape));
  const network = new Network(shape);

  it('gradient equals central differences of the objective', () => {
    network.objective(parameters, z, y, all, 0.01, gradient);
    const scratch = new Float64Array(gradient.length);
    for (let k = 0; k < parameters.length; k++) {
      const h = 1e-5;
      const up = network.objective(parameters.with(k, parameters[k]! + h), z, y, all, 0.01, scratch);
      const down = network.objective(parameters.with(k, parameters[k]! - h), z, y, all, 0.01, scratch);
      // Central differences of step 1e-5 err by about 1e-10 in truncation and 1e-11 in rounding.
      expect(Math.abs(gradient[k]! - (up - down) / (2 * h))).toBeLessThan(1e-8);
    }
  });

  it('objective, gradient and logits equal the scalar autodiff twin', () => {
    const loss = network.objective(parameters, z, y, all, 0.01, gradient);
    const twin = twinObjective(shape, [...parameters], rows, 0.01);
    expect(Math.abs(loss - twin.loss)).toBeLessThan(1e-13);
    for (let k = 0; k < gradient.length; k++) expect(Math.abs(gradient[k]! - twin.gradient[k]!)).toBeLessThan(1e-13);
    for (const [i, row] of rows.entries())
      expect(Math.abs(network.logit(parameters, z, i) - twinLogit(shape, [...parameters], row.x))).toBeLessThan(1e-13);
  });

  it('training equals the twin after several epochs', () => {
    const options = { epochs: 3, batchSize: 7, learningRate: 0.1, momentum: 0.9, l2: 0.01 };
    const got = trainEpochs(network, parameters, z, y, all, options, seededRandom('shuffle'));
    const twin = twinTrain(shape, [...parameters], rows, options, seededRandom('shuffle'));
    // Rounding differences of 1e-16 grow over 15 steps; measured below 1e-14.
    for (let k = 0; k < got.length; k++) expect(Math.abs(got[k]! - twin[k]!)).toBeLessThan(1e-12);
  });
});

const base = {
  model: 'mlp',
  covariates: true,
  hidden: [4],
  activation: 'tanh',
  learningRate: 0.05,
  momentum: 0.9,
  l2: 0.001,
  batchSize: 16,
  localEpochs: 2,
  maxRounds: 12,
  patience: 3,
} as const;

function study(patients: readonly Patient[], training: string[], cells: number, groups: string[][]) {
  const frame = frameOf(training, [], 3, cells);
  const fits = fitsOf(frame, 'none', groups);
  const spec: FedAvgSpec = { ...base, frame, fits };
  const results = new Map<string, unknown>([['moments', momentsOf(frame, fits, patients)]]);
  return { frame, fits, spec, results };
}

function weights(model: FittedModel): number[] {
  return model.type === 'mlp' ? model.layers.flatMap((layer) => [...layer.weights, ...layer.bias]) : [];
}

describe('fedavg', () => {
  const sizes = { alder: 60, birch: 47, cedar: 33 };
  const patients = simulateTable(1, { sizes, cells: 3, missing: true });
  const groups = [['alder'], ['birch'], ['cedar']];
  const { frame, fits, spec, results } = study(patients, ['alder', 'birch', 'cedar'], 3, groups);
  const run = runInMemory(halves, spec, viewsOf(frame, bySite(patients), results), results);

  it('fits every fold in the rounds of the slowest one', () => {
    expect(Object.keys(run.result.models).sort()).toEqual(fits.map((fit) => fit.id).sort());
    const alone = fits.map((fit) => {
      const own = { ...spec, fits: [fit] };
      return runInMemory(halves, own, viewsOf(frame, bySite(patients), results), results);
    });
    expect(run.rounds).toBe(Math.max(...alone.map((single) => single.rounds)));
    for (const [i, fit] of fits.entries())
      expect(weights(alone[i]!.result.models[fit.id]!)).toEqual(weights(run.result.models[fit.id]!));
  });

  it('gives the same bits whoever holds the rows', () => {
    for (const holders of [[patients], [patients.slice(0, 60), patients.slice(60)]]) {
      const other = runInMemory(halves, spec, viewsOf(frame, holders, results), results);
      expect(other.result).toEqual(run.result);
      expect(other.rounds).toBe(run.rounds);
    }
  });

  it('a held-out site leaves no trace in its fold', () => {
    const changed = patients.map((patient) =>
      patient.site === 'birch' ? { ...patient, x: [9, -9, 9], y: 1 } : patient,
    );
    const moments = momentsOf(frame, fits, changed);
    const other = new Map<string, unknown>([['moments', moments]]);
    const again = runInMemory(halves, spec, viewsOf(frame, bySite(changed), other), other);
    const id = 'none:without-birch';
    expect(weights(again.result.models[id]!)).toEqual(weights(run.result.models[id]!));
    expect(weights(again.result.models['none:all']!)).not.toEqual(weights(run.result.models['none:all']!));
  });

  it('learns: the held-back loss falls below that of guessing the prevalence', () => {
    const prevalence = patients.filter((patient) => patient.y === 1).length / patients.length;
    const guessing = -prevalence * Math.log(prevalence) - (1 - prevalence) * Math.log(1 - prevalence);
    const note = run.result.summaries['none:all']!.notes[0]!;
    const loss = Number(/loss \(([0-9.]+)\)/.exec(note)![1]);
    expect(loss).toBeLessThan(guessing - 0.05);
  });

  it('stops by patience with the best parameters, and uses no more than maxRounds + 1 rounds', () => {
    const eager = { ...spec, fits: [fits[0]!], learningRate: 0.2, maxRounds: 80, patience: 3 };
    const stopped = runInMemory(halves, eager, viewsOf(frame, [patients], results), results);
    const summary = stopped.result.summaries['none:all']!;
    expect(summary.converged).toBe(true);
    // Rounds count from 0, so the best one is followed by `patience` others.
    expect(stopped.rounds).toBe(summary.iterations + 1 + 3);
    // Stopping right after the best round gives the same parameters: the best ones were kept, not the last ones.
    const cut = { ...eager, maxRounds: summary.iterations };
    const upToBest = runInMemory(halves, cut, viewsOf(frame, [patients], results), results);
    expect(weights(stopped.result.models['none:all']!)).toEqual(weights(upToBest.result.models['none:all']!));
    const long = runInMemory(
      halves,
      { ...spec, fits: [fits[0]!], maxRounds: 3, patience: 50 },
      viewsOf(frame, [patients], results),
      results,
    );
    expect(long.rounds).toBe(4);
    expect(long.result.summaries['none:all']!.converged).toBe(false);
  });

  it('one site with E epochs is plain SGD', () => {
    const own = patients.filter((patient) => patient.site === 'alder');
    const single = study(own, ['alder'], 1, []);
    const oneRound: FedAvgSpec = { ...single.spec, maxRounds: 1, patience: 50, localEpochs: 5 };
    const views = viewsOf(single.frame, [own], single.results);
    const start = fedAvgCoordinator.start(oneRound, single.results);
    const total = fedAvgSite.contribute(oneRound, start.broadcast, views[0]!);
    const next = fedAvgCoordinator.advance(oneRound, start.state, { sites: ['alder'], values: total });
    expect(next.kind).toBe('step');
    const averaged = next.kind === 'step' ? next.broadcast.fits[0]!.parameters : new Float64Array();

    const fit = single.fits[0]!;
    const { train } = rowsBySite(oneRound, fit, views[0]!)[0]!;
    const shape: NetworkShape = { inputs: 6, hidden: [4], activation: 'tanh' };
    const moments = momentsOf(single.frame, single.fits, own).fits[fit.id]!;
    const sorted = [...own].sort((a, b) => (a.id < b.id ? -1 : 1));
    const rows = [...train].map((row) => {
      const { x, sex, age, y } = sorted[row]!;
      const dummy = (level: number) => (Number.isNaN(sex) ? Number.NaN : Number(sex === level));
      const raw = [...x, dummy(1), dummy(2), age];
      return { x: raw.map((value, j) => (Number.isNaN(value) ? 0 : (value - moments.mean[j]!) / moments.sd[j]!)), y };
    });
    const options = { epochs: 5, batchSize: 16, learningRate: 0.05, momentum: 0.9, l2: 0.001 };
    const random = seededRandom('fedavg shuffle', frame.seed, 'mlp', fit.id, 0, 'alder');
    const plain = twinTrain(shape, [...start.broadcast.fits[0]!.parameters], rows, options, random);
    // The weighted parameters were rounded to 2^-32 (n = 48, 24 fraction bits of n * w remain far more than enough).
    for (let k = 0; k < plain.length; k++) expect(Math.abs(averaged[k]! - plain[k]!)).toBeLessThan(1e-10);
  });

  it('held-back patients are never trained on', () => {
    const view = viewsOf(frame, [patients], results)[0]!;
    for (const { train, heldBack } of rowsBySite(spec, fits[0]!, view)) {
      expect(heldBack.length).toBe(Math.floor((train.length + heldBack.length) / 5));
      expect([...train].filter((row) => heldBack.includes(row))).toEqual([]);
    }
  });

  it('refuses a diverged network and a survival endpoint', () => {
    const wild = { ...spec, learningRate: 1e6 };
    expect(() => runInMemory(halves, wild, viewsOf(frame, [patients], results), results)).toThrow(
      expect.objectContaining({ code: 'SECAGG_BOUND_EXCEEDED' }),
    );
    const survival = {
      ...spec,
      frame: { ...frame, endpoint: { type: 'survival', unit: 'days', horizon: null } },
    } as const;
    expect(() => fedAvgCoordinator.start(survival, results)).toThrow(
      expect.objectContaining({ code: 'STUDY_INVALID' }),
    );
    expect(() => fedAvgDeclaration.leaves(survival, { round: 0, fits: [] })).toThrow(
      expect.objectContaining({ code: 'STUDY_INVALID' }),
    );
  });

  it('declares a fit of two sites as visible, names the cells behind each sum, and trains nobody in the last round', () => {
    const parameters = new Float64Array(5);
    const entry = { n: 100, train: true, parameters };
    const broadcast = {
      round: 0,
      fits: [
        { ...entry, id: 'none:all/1' },
        { ...entry, id: 'none:without-birch', train: false },
      ],
    };
    const leaves = fedAvgDeclaration.leaves(spec, broadcast);
    expect(leaves.map(({ name, visibility }) => [name, visibility])).toEqual([
      ['none:all/1/parameters', 'total'],
      ['none:all/1/held-back', 'total'],
      ['none:without-birch/held-back', 'site'],
    ]);
    expect(leaves[0]!.shape).toEqual([6 * 4 + 4 + 4 + 1]);
    expect(leaves[0]!.contributors.map(({ cells }) => cells)).toEqual([
      [0, 2],
      [0, 2],
      [0, 2],
    ]);
  });

  it('declares sums that stay exact in a double', () => {
    for (const n of [1, 100, 5000, 1e6])
      expect(n * PARAMETER_LIMIT * powerOfTwo(fractionBitsFor(n))).toBeLessThanOrEqual(2 ** 52);
    expect(fractionBitsFor(1000)).toBe(32);
  });
});
