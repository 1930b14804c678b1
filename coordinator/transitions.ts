import { assert } from '../shared/errors.js';
import type { RoundRecord } from './round-types.js';

/**
 * The state machine of rounds. Rule 1: which record may follow in which phase, and where it leads, stands here and nowhere
 * else. Rule 2: a pair that is not in the table is a defect and stops the process, naming both. Rule 3: nothing
 * else moves the phase.
 *
 * idle         no round is open; pre-keys of the next slot may arrive
 * preKeys      a round is open and waits for its sites and their pre-keys
 * maskedInput  an attempt is open; masked inputs are added up as they arrive
 * agreement    the survivor set is fixed; survivors sign it (passed through at once in plain and curious mode)
 * unmask       enough have signed; shares arrive, masks are taken out
 * ended        the study was abandoned
 */
export type RoundPhase = 'idle' | 'preKeys' | 'maskedInput' | 'agreement' | 'unmask' | 'ended';

type Row = { readonly [type in RoundRecord['type']]?: RoundPhase };

export const TRANSITIONS: { readonly [phase in RoundPhase]: Row } = {
  idle: { roundOpened: 'preKeys', preKey: 'idle', preKeyVoid: 'idle', slotSkipped: 'idle', abandoned: 'ended' },
  preKeys: {
    preKey: 'preKeys',
    preKeyVoid: 'preKeys',
    slotSkipped: 'preKeys',
    attemptOpened: 'maskedInput',
    roundFailed: 'idle',
    abandoned: 'ended',
  },
  maskedInput: {
    maskedInput: 'maskedInput',
    preKey: 'maskedInput',
    preKeyVoid: 'maskedInput',
    siteOut: 'maskedInput',
    survivors: 'agreement',
    attemptAborted: 'preKeys',
    roundFailed: 'idle',
    abandoned: 'ended',
  },
  agreement: {
    signature: 'agreement',
    preKey: 'agreement',
    preKeyVoid: 'agreement',
    siteOut: 'agreement',
    agreed: 'unmask',
    attemptAborted: 'preKeys',
    roundFailed: 'idle',
    abandoned: 'ended',
  },
  unmask: {
    shares: 'unmask',
    preKey: 'unmask',
    preKeyVoid: 'unmask',
    siteOut: 'unmask',
    total: 'idle',
    attemptAborted: 'preKeys',
    roundFailed: 'idle',
    abandoned: 'ended',
  },
  ended: {},
};

export function nextPhase(phase: RoundPhase, type: RoundRecord['type']): RoundPhase {
  const next = TRANSITIONS[phase][type];
  assert(next !== undefined, `record ${type} cannot follow in phase ${phase} of a round`);
  return next;
}
