import { assert, ConcordatError } from '../../errors.js';
import { type Fit, fitContributors } from '../../fits.js';
import { powerOfTwo } from '../../fixed-point.js';
import type { TensorSpec } from '../../tensors.js';
import type { Declaration } from '../computation.js';
import { type FedAvgSpec, predictorsOf } from '../frame.js';
import { type NetworkShape, parameterCount } from './network.js';

/** What the coordinator sends: the network of every fit that is not finished. */
export interface FedAvgBroadcast {
  /** From 0. */
  readonly round: number;
  readonly fits: readonly FedAvgFitBroadcast[];
}

export interface FedAvgFitBroadcast {
  readonly id: string;
  /** False in the last round, which only asks how good the final parameters are. */
  readonly train: boolean;
  /** Patients of this fit over all sites (public, from `moments`): sets the bound of the sum. */
  readonly n: number;
  readonly parameters: Float64Array;
}

/** A network whose parameters leave this range has diverged; the site refuses rather than clips. */
export const PARAMETER_LIMIT = 1024;

/** Every fifth patient of a site is held back from training and only measures the loss. */
export const HELD_BACK_ONE_IN = 5;

/** Entries of the held-back tensor: patients trained on, patients held back, their summed loss. */
export const HELD_BACK_ENTRIES = 3;

export const fedAvgDeclaration: Declaration<FedAvgSpec, FedAvgBroadcast> = {
  name: 'fedavg',
  leaves(spec, broadcast) {
    refuseSurvival(spec);
    const size = parameterCount(shapeOf(spec));
    return broadcast.fits.flatMap((entry) => {
      const fit = fitOf(spec, entry.id);
      const common = {
        bound: entry.n * PARAMETER_LIMIT,
        ring: 64,
        fractionBits: fractionBitsFor(entry.n),
        contributors: fitContributors(fit, spec.frame.cells),
        visibility: fit.sites.length < spec.frame.minSites ? 'site' : 'total',
        momentColumns: 0,
        fold: fit.outer,
      } as const;
      const parameters: TensorSpec = {
        ...common,
        name: parametersName(fit),
        kind: 'fedavg.parameters',
        shape: [size],
        meaning: `the site's trained network (${size} numbers) times its number of patients`,
      };
      const heldBack: TensorSpec = {
        ...common,
        name: heldBackName(fit),
        kind: 'fedavg.held-back',
        shape: [HELD_BACK_ENTRIES],
        meaning: 'number of patients trained on, number held back, and the network’s summed loss on those held back',
      };
      return entry.train ? [parameters, heldBack] : [heldBack];
    });
  },
};

export function parametersName(fit: Fit): string {
  return `${fit.id}/parameters`;
}

export function heldBackName(fit: Fit): string {
  return `${fit.id}/held-back`;
}

export function shapeOf(spec: FedAvgSpec): NetworkShape {
  return {
    inputs: predictorsOf(spec.frame, spec.covariates).length,
    hidden: spec.hidden,
    activation: spec.activation,
  };
}

export function fitOf(spec: { readonly fits: readonly Fit[] }, id: string): Fit {
  const fit = spec.fits.find((candidate) => candidate.id === id);
  assert(fit !== undefined, `fit ${id} is not in the study`);
  return fit;
}

/**
 * At most 32, and so few that n * PARAMETER_LIMIT still has its last bit in a double: contributions rounded to these
 * bits are then added exactly even inside a holder of several sites.
 */
export function fractionBitsFor(n: number): number {
  let bits = 32;
  while (bits > 0 && n * PARAMETER_LIMIT * powerOfTwo(bits) > powerOfTwo(52)) bits--;
  return bits;
}

/** Throws STUDY_INVALID: the network has one logit and so models a binary outcome only. */
export function refuseSurvival(spec: FedAvgSpec): void {
  if (spec.frame.endpoint.type !== 'binary')
    throw new ConcordatError(
      'STUDY_INVALID',
      `model "${spec.model}" is a multilayer perceptron (type mlp) and needs a binary endpoint, this study's is survival`,
      { hint: 'Use a model of type cox for a survival endpoint.' },
    );
}
