import { assert } from '../../errors.js';
import { seededRandom } from '../../rng.js';
import type { Total } from '../../tensors.js';
import type { CoordinatorHalf, Step } from '../computation.js';
import type { FedAvgSpec, FittedModel, ModelResult, ModelSummary, MomentsResult } from '../frame.js';
import { type FedAvgBroadcast, fitOf, heldBackName, parametersName, refuseSurvival, shapeOf } from './declaration.js';
import { initialParameters, toFittedModel } from './network.js';

interface FitState {
  readonly id: string;
  /** Patients as the moments have them: sets the bound of the sums. */
  readonly n: number;
  /** Patients trained on or held back. */
  readonly patients: number;
  readonly parameters: Float64Array;
  /** Parameters with the smallest held-back loss so far, and the round that measured them. */
  readonly best: Float64Array;
  readonly bestLoss: number;
  readonly bestRound: number;
  readonly finished: 'patience' | 'maxRounds' | 'empty' | null;
  readonly heldBack: number;
}

export interface FedAvgState {
  readonly round: number;
  readonly fits: readonly FitState[];
}

/**
 * FederatedAveraging (McMahan et al. 2017, Algorithm 1) over all sites of every fit at once: w = sum n_i w_i / sum n_i.
 * The broadcast parameters are measured on the patients held back at the sites in the same round in which they are
 * trained further; a fit stops after `patience` rounds without a smaller loss and keeps its best parameters.
 */
export const fedAvgCoordinator: CoordinatorHalf<FedAvgSpec, FedAvgBroadcast, FedAvgState, ModelResult> = {
  name: 'fedavg',
  start(spec, results) {
    refuseSurvival(spec);
    const moments = results.get('moments') as MomentsResult | undefined;
    assert(moments !== undefined, 'fedavg needs the result of moments');
    const shape = shapeOf(spec);
    const fits = spec.fits.map(({ id }): FitState => {
      const n = moments.fits[id]?.n;
      assert(n !== undefined, `moments has no fit ${id}`);
      const random = seededRandom('fedavg initial', spec.frame.seed, spec.model, id);
      const parameters = initialParameters(shape, random);
      const finished = n > 0 ? null : 'empty';
      const none = { patients: 0, bestLoss: Infinity, bestRound: 0, heldBack: 0 };
      return { id, n, parameters, best: parameters, finished, ...none };
    });
    return stepOf(spec, { round: 0, fits });
  },
  advance(spec, state, total) {
    const fits = state.fits.map((fit) => (fit.finished === null ? advanceFit(spec, state.round, fit, total) : fit));
    const next = { round: state.round + 1, fits };
    if (fits.some((fit) => fit.finished === null)) return stepOf(spec, next);
    return { kind: 'done', result: resultOf(spec, fits) };
  },
};

function stepOf(spec: FedAvgSpec, state: FedAvgState): Step<FedAvgState, FedAvgBroadcast> {
  const active = state.fits.filter((fit) => fit.finished === null);
  const train = state.round < spec.maxRounds;
  return {
    kind: 'step',
    state,
    broadcast: {
      round: state.round,
      fits: active.map(({ id, n, parameters }) => ({ id, n, train, parameters })),
    },
  };
}

function advanceFit(spec: FedAvgSpec, round: number, state: FitState, total: Total): FitState {
  const fit = fitOf(spec, state.id);
  const [trained, heldBack, lossSum] = total.values.get(heldBackName(fit))! as unknown as [number, number, number];
  // With nobody held back (a handful of patients) the latest parameters count as the best.
  const loss = heldBack > 0 ? lossSum / heldBack : state.bestLoss;
  const better = heldBack > 0 ? loss < state.bestLoss : true;
  // Of the patients in this total: the moments may hold a site that has gone missing since.
  const counted = { ...state, heldBack, patients: trained + heldBack };
  const measured: FitState = better
    ? { ...counted, best: state.parameters, bestLoss: loss, bestRound: round }
    : counted;
  if (round >= spec.maxRounds) return { ...measured, finished: 'maxRounds' };
  if (round - measured.bestRound >= spec.patience) return { ...measured, finished: 'patience' };
  if (trained === 0) return { ...measured, finished: 'empty' };
  const weighted = total.values.get(parametersName(fit))!;
  return { ...measured, parameters: weighted.map((value) => value / trained) };
}

function resultOf(spec: FedAvgSpec, fits: readonly FitState[]): ModelResult {
  const shape = shapeOf(spec);
  const models: Record<string, FittedModel> = {};
  const summaries: Record<string, ModelSummary> = {};
  for (const state of fits) {
    models[state.id] = toFittedModel(shape, state.best);
    if (fitOf(spec, state.id).inner !== null) continue;
    summaries[state.id] = {
      converged: state.finished === 'patience',
      iterations: state.bestRound,
      lambda: null,
      lambdaPath: null,
      cv: null,
      intercept: null,
      coefficients: [],
      logLikelihood: null,
      nullLogLikelihood: null,
      n: state.patients,
      notes: notesOf(spec, state),
    };
  }
  return { type: 'mlp', models, summaries };
}

function notesOf(spec: FedAvgSpec, state: FitState): string[] {
  if (state.finished === 'empty') return ['no patient to train on: the network is as it was initialised'];
  if (state.heldBack === 0) return ['too few patients to hold any back: trained for all rounds, not stopped early'];
  const measured = `round ${state.bestRound} has the smallest loss (${state.bestLoss.toPrecision(6)}) on ${state.heldBack} patients held back`;
  if (state.finished === 'patience')
    return [`${measured}; stopped after ${spec.patience} rounds without a smaller one`];
  return [`${measured}; all ${spec.maxRounds} rounds were used, more might lower it further`];
}
