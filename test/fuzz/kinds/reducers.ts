import { stepRound } from '../../../coordinator/round.js';
import type { RoundEvent } from '../../../coordinator/round-types.js';
import { ed25519Sign } from '../../../shared/ed25519.js';
import { ConcordatError } from '../../../shared/errors.js';
import type { CoordinatorMessage, PreKey, SiteMessage } from '../../../shared/messages.js';
import type { SeededRandom } from '../../../shared/rng.js';
import {
  maskedInputStatement,
  preKeyStatement,
  sharesStatement,
  survivorsStatement,
} from '../../../shared/secagg/statements.js';
import { decodeCoordinatorFrame, decodeSiteFrame } from '../../../shared/wire/decode.js';
import { encodeCoordinatorFrame, encodeSiteFrame } from '../../../shared/wire/encode.js';
import type { CoordinatorFrame, SiteFrame } from '../../../shared/wire/types.js';
import { stepParticipant } from '../../../site-agent/participant.js';
import type { ParticipantEvent } from '../../../site-agent/participant-types.js';
import { simKeys } from '../../sim/world.js';
import { type Trace, traceOf } from '../federation.js';
import { Broken, type FuzzKind, type FuzzTarget, pack, unpack } from '../kind.js';
import { crossed, pick } from '../mutate.js';

/**
 * Messages that are well formed and wrong, out of turn, or signed by a site that lies, in every state of the reducers.
 * They pass the wire's own checks first, as over the network. A reducer throws on no message: it ignores or refuses.
 */
export const TRACES: readonly Trace[] = [
  await traceOf({ sites: 3, rounds: 2 }),
  await traceOf({ sites: 4, rounds: 2, terms: { coordinator: 'curious' } }),
  await traceOf({ sites: 5, rounds: 2, terms: { onMissingSite: 'continue' }, away: 'cedar' }),
  await traceOf({ sites: 3, rounds: 2, terms: { mode: 'plain' } }),
];

/** An attempt has a handful of effects for each site; more would grow with what a message says. */
const EFFECTS_MAX = 200;

interface Case {
  readonly trace: number;
  readonly state: number;
  readonly steps: readonly {
    readonly site: string;
    readonly message?: SiteMessage | CoordinatorMessage;
    readonly event?: string;
  }[];
}

function attempt<T>(make: () => T, otherwise: T): T {
  try {
    return make();
  } catch {
    return otherwise;
  }
}

/** The same message as an enrolled site that lies would send it: with a good signature under whatever it says. */
function signedAgain(site: string, message: SiteMessage): SiteMessage {
  const { signingKey } = simKeys(site);
  const sign = (statement: Uint8Array) => ed25519Sign(signingKey, statement);
  const preKey = (key: PreKey): PreKey => ({ ...key, signature: sign(preKeyStatement(key)) });
  switch (message.type) {
    case 'preKeyAnswer':
      return { ...message, preKey: preKey(message.preKey) };
    case 'maskedInput': {
      const { context, blobHash, byteLength, nextPreKey } = message;
      const signature = sign(maskedInputStatement(context, site, blobHash, byteLength));
      return { ...message, signature, nextPreKey: nextPreKey === null ? null : preKey(nextPreKey) };
    }
    case 'survivorsSigned':
      return {
        ...message,
        signature: sign(survivorsStatement(message.context, '', message.survivors, message.dropped)),
      };
    case 'sharesReleased':
      return { ...message, signature: sign(sharesStatement(message.context, site, message.shares)) };
    default:
      return message;
  }
}

/** Well formed: what is broken in its form is the wire kinds' affair. */
function wrong<M extends SiteMessage | CoordinatorMessage>(
  random: SeededRandom,
  message: M,
  all: readonly { readonly message: M }[],
): M {
  const alike = all.filter((entry) => entry.message.type === message.type);
  return crossed(random, message, pick(random, alike).message);
}

function stepsOf(random: SeededRandom, make: () => Case['steps'][number], events: readonly string[], site: string) {
  return Array.from({ length: 1 + random.integer(3) }, (_, at) =>
    at > 0 && random.integer(3) === 0 ? { site, event: pick(random, events) } : make(),
  );
}

export const ROUND_REDUCER: FuzzKind = {
  name: 'coordinator-reducer',
  weight: 6,
  prepare(): FuzzTarget {
    const all = TRACES;
    return {
      make(random) {
        const trace = random.integer(all.length);
        const { roundStates, toCoordinator } = all[trace]!;
        const message = () => {
          const sample = pick(random, toCoordinator);
          const sites = all[trace]!.terms.roster.sites;
          const site = random.integer(6) === 0 ? pick(random, sites).site : sample.site;
          if (random.integer(5) === 0) return { site, message: sample.message };
          const mutated = wrong(random, sample.message, toCoordinator);
          return {
            site,
            message: random.integer(2) === 0 ? attempt(() => signedAgain(site, mutated), mutated) : mutated,
          };
        };
        const steps = stepsOf(random, message, ['tick', 'resumed', 'connected', 'disconnected', 'abandon'], 'alder');
        return pack({ trace, state: random.integer(roundStates.length), steps } satisfies Case);
      },
      run(input) {
        const { trace, state: at, steps } = unpack(input) as Case;
        const { roundConfig, roundStates } = all[trace]!;
        let state = roundStates[at]!;
        let first: unknown = null;
        for (const [turn, { site, message, event }] of steps.entries()) {
          const nowMs = 1_000_000 + 2000 * turn;
          let full: RoundEvent;
          if (message === undefined) full = { type: event, site, nowMs } as RoundEvent;
          else {
            const wire = attempt<object | null>(() => encodeSiteFrame(message as SiteFrame), null);
            if (wire === null) continue;
            try {
              const frame = decodeSiteFrame(wire);
              if (frame.type === 'hello' || frame.type === 'heartbeat') continue;
              full = { type: 'message', site, message: frame as SiteMessage, nowMs };
            } catch (error) {
              if (!(error instanceof ConcordatError)) throw error;
              first ??= error;
              continue;
            }
          }
          const step = stepRound(roundConfig, state, full);
          state = step.state;
          if (step.effects.length > EFFECTS_MAX) throw new Broken(`one event had ${step.effects.length} effects`);
          if (!(state.slot <= 0x7fffffff)) throw new Broken(`the slot became ${state.slot}`);
          for (const effect of step.effects)
            if (effect.type === 'send') decodeCoordinatorFrame(encodeCoordinatorFrame(effect.message));
            else if (effect.type === 'report' && effect.report.kind === 'ignored' && effect.report.code !== null)
              first ??= new ConcordatError(effect.report.code, 'ignored');
        }
        if (first !== null) throw first;
      },
    };
  },
};

export const PARTICIPANT_REDUCER: FuzzKind = {
  name: 'site-reducer',
  weight: 6,
  prepare(): FuzzTarget {
    const all = TRACES;
    return {
      make(random) {
        const trace = random.integer(all.length);
        const { siteStates, toSites } = all[trace]!;
        const state = random.integer(siteStates.length);
        const { site } = siteStates[state]!;
        const message = () => {
          const sample = pick(
            random,
            random.integer(4) === 0 ? toSites : toSites.filter((entry) => entry.site === site),
          );
          if (random.integer(5) === 0) return { site, message: sample.message };
          return { site, message: wrong(random, sample.message, toSites) };
        };
        return pack({
          trace,
          state,
          steps: stepsOf(random, message, ['connected', 'disconnected'], site),
        } satisfies Case);
      },
      run(input) {
        const { trace, state: at, steps } = unpack(input) as Case;
        const { siteConfigs, siteStates } = all[trace]!;
        const { site, state: start } = siteStates[at]!;
        let state = start;
        let first: unknown = null;
        for (const { message, event } of steps) {
          const nowMs = 1_000_000;
          const noise = new Uint8Array(32).fill(3);
          let full: ParticipantEvent;
          if (message === undefined) full = { type: event, nowMs, random: noise } as ParticipantEvent;
          else {
            const wire = attempt<object | null>(() => encodeCoordinatorFrame(message as CoordinatorFrame), null);
            if (wire === null) continue;
            try {
              const frame = decodeCoordinatorFrame(wire);
              full = { type: 'message', message: frame as CoordinatorMessage, nowMs, random: noise };
            } catch (error) {
              if (!(error instanceof ConcordatError)) throw error;
              first ??= error;
              continue;
            }
          }
          const step = stepParticipant(siteConfigs.get(site)!, state, full);
          state = step.state;
          if (step.effects.length > EFFECTS_MAX) throw new Broken(`one event had ${step.effects.length} effects`);
          for (const effect of step.effects)
            if (effect.type === 'send' || effect.type === 'upload') {
              decodeSiteFrame(encodeSiteFrame(effect.message));
              if (effect.message.type === 'siteRefusal') first ??= new ConcordatError(effect.message.code, 'refused');
            }
        }
        if (first !== null) throw first;
      },
    };
  },
};
