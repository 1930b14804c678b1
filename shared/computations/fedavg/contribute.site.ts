import { type Cohort, rowsOfFit, type SiteView } from '../../cohort.site.js';
import { assert, ConcordatError } from '../../errors.js';
import type { Fit } from '../../fits.js';
import { powerOfTwo, roundHalfEven } from '../../fixed-point.js';
import { seededRandom } from '../../rng.js';
import type { SiteHalf } from '../computation.js';
import { designOf } from '../design.site.js';
import type { FedAvgSpec } from '../frame.js';
import {
  type FedAvgBroadcast,
  type FedAvgFitBroadcast,
  fitOf,
  fractionBitsFor,
  HELD_BACK_ENTRIES,
  HELD_BACK_ONE_IN,
  heldBackName,
  PARAMETER_LIMIT,
  parametersName,
  refuseSurvival,
  shapeOf,
} from './declaration.js';
import { Network, parameterCount, trainEpochs } from './network.js';

/** Rows of one site label in one fit. */
export interface SiteRows {
  readonly site: string;
  readonly train: Int32Array;
  readonly heldBack: Int32Array;
}

export const fedAvgSite: SiteHalf<FedAvgSpec, FedAvgBroadcast> = {
  name: 'fedavg',
  contribute(spec, broadcast, view) {
    refuseSurvival(spec);
    const contribution = new Map<string, Float64Array>();
    for (const entry of broadcast.fits) {
      const fit = fitOf(spec, entry.id);
      const sites = rowsBySite(spec, fit, view);
      if (sites.length === 0) continue;
      contributeFit(spec, broadcast.round, entry, fit, sites, view, contribution);
    }
    return contribution;
  },
};

/**
 * Each site label trains by itself and is rounded to the tensor's grid by itself, so who holds its rows changes no bit.
 */
function contributeFit(
  spec: FedAvgSpec,
  round: number,
  entry: FedAvgFitBroadcast,
  fit: Fit,
  sites: readonly SiteRows[],
  view: SiteView,
  contribution: Map<string, Float64Array>,
): void {
  const { outcome } = view.cohort;
  assert(outcome.type === 'binary', 'a binary endpoint has binary outcomes');
  const shape = shapeOf(spec);
  const { z, p } = designOf(view, fit, spec.covariates);
  assert(p === shape.inputs, `design has ${p} columns, the network ${shape.inputs} inputs`);
  const network = new Network(shape);
  const unit = powerOfTwo(fractionBitsFor(entry.n));
  const options = {
    epochs: spec.localEpochs,
    batchSize: spec.batchSize,
    learningRate: spec.learningRate,
    momentum: spec.momentum,
    l2: spec.l2,
  };
  const weighted = new Float64Array(parameterCount(shape));
  const heldBack = new Float64Array(HELD_BACK_ENTRIES);
  for (const { site, train, heldBack: held } of sites) {
    heldBack[0]! += train.length;
    heldBack[1]! += held.length;
    heldBack[2]! += roundHalfEven(network.lossSum(entry.parameters, z, outcome.y, held) * unit) / unit;
    if (!entry.train || train.length === 0) continue;
    const random = seededRandom('fedavg shuffle', spec.frame.seed, spec.model, fit.id, round, site);
    const trained = trainEpochs(network, entry.parameters, z, outcome.y, train, options, random);
    for (let k = 0; k < trained.length; k++) {
      const value = trained[k]!;
      if (!(Math.abs(value) <= PARAMETER_LIMIT)) throw diverged(parametersName(fit));
      weighted[k]! += roundHalfEven(train.length * value * unit) / unit;
    }
  }
  if (entry.train) contribution.set(parametersName(fit), weighted);
  contribution.set(heldBackName(fit), heldBack);
}

/**
 * The fit's rows at each site label present, split once and for all rounds: a seeded fifth is held back, drawn in the
 * order of the sorted cohort and so the same whatever table the rows came from.
 */
export function rowsBySite(spec: FedAvgSpec, fit: Fit, view: SiteView): readonly SiteRows[] {
  const key = `fedavg/${spec.model}/${fit.id}`;
  const kept = view.memo.get(key) as readonly SiteRows[] | undefined;
  if (kept !== undefined) return kept;
  const { cohort } = view;
  const member = rowsOfFit(cohort, fit);
  const bySite = cohort.sites.map((site, index) => splitRows(spec, fit, site, siteRows(cohort, index, member)));
  const present = bySite.filter(({ train, heldBack }) => train.length + heldBack.length > 0);
  view.memo.set(key, present);
  return present;
}

function siteRows(cohort: Cohort, site: number, member: Uint8Array): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < cohort.n; row++) if (cohort.siteOf[row] === site && member[row] === 1) rows.push(row);
  return Int32Array.from(rows);
}

function splitRows(spec: FedAvgSpec, fit: Fit, site: string, rows: Int32Array): SiteRows {
  const shuffled = rows.slice();
  seededRandom('fedavg held back', spec.frame.seed, spec.model, fit.id, site).shuffle(shuffled);
  const held = Math.floor(rows.length / HELD_BACK_ONE_IN);
  return { site, train: shuffled.slice(held).sort(), heldBack: shuffled.slice(0, held).sort() };
}

function diverged(tensor: string): ConcordatError {
  return new ConcordatError(
    'SECAGG_BOUND_EXCEEDED',
    `tensor ${tensor}: training diverged, a parameter of the network left the range of ${PARAMETER_LIMIT}`,
    { hint: 'Lower learningRate or momentum of the mlp model in the study, or raise l2.' },
  );
}
