import { expect, test } from 'vitest';
import { numericColumns } from '../../shared/computations/describe/declaration.js';
import { EMPTY_GUARD, type GuardState } from '../../shared/guard-decision.js';
import { sha256 } from '../../shared/memory-stores.js';
import { planStudy } from '../../shared/plan.js';
import { encodeRoundDocument } from '../../shared/round-document.js';
import type { ParticipantRecord } from '../../site-agent/participant-types.js';
import { StudyBroadcasts } from '../../site-agent/shell/study-broadcasts.js';
import { StudyGuard } from '../../site-agent/shell/study-guard.js';
import { smallStudy } from '../e2e/support.js';

/** A masked input has left and no set was signed here: whatever becomes of its broadcast, the offered set counts as released. */
const study = smallStudy('remembered');
const plan = planStudy(study);
const sites = [...plan.frame.training].sort();
const columns = numericColumns(plan.frame).length;

const documents = new Map<string, Uint8Array>();
const document = (iteration: number, broadcast: unknown): string => {
  const bytes = encodeRoundDocument({ instance: 'describe', iteration, broadcast, upstream: {} });
  const hash = sha256(bytes);
  documents.set(hash, bytes);
  return hash;
};
const COUNTS = document(1, { phase: 'counts' });
const SUMS = [0, 16].map((exponent) =>
  document(2, {
    phase: 'sums',
    exponents: new Int32Array(columns).fill(exponent),
    sites,
    hidden: { whole: [], parts: [] },
    shown: [],
    pooledEvents: [],
  }),
);

function site() {
  let state: GuardState = EMPTY_GUARD;
  const records: ParticipantRecord[] = [];
  const broadcasts = new StudyBroadcasts(plan, async (hash) => documents.get(hash)!, {
    resultHash: () => null,
    keepResultHash: () => undefined,
  });
  const ports = {
    readGuard: () => state,
    readRecords: () => ({ records }),
    appendRecords: (more: readonly ParticipantRecord[], guard: GuardState | null) => {
      records.push(...more);
      state = guard ?? state;
    },
  };
  const config = { site: sites[0]!, study, terms: { onMissingSite: 'wait', mode: 'secure' }, history: 'known' };
  const guard = new StudyGuard(config as never, ports, plan, broadcasts, () => undefined);
  guard.append([
    {
      type: 'joined',
      context: 'c1',
      computation: 'describe',
      broadcastHash: COUNTS,
      sites,
      round: 1,
    } as unknown as ParticipantRecord,
    { type: 'masked', context: 'c1' } as unknown as ParticipantRecord,
  ]);
  return { guard, broadcasts, released: () => Object.keys(state.kinds) };
}

const CLOSED = { type: 'closed', context: 'c1', outcome: 'superseded' } as unknown as ParticipantRecord;

test('while it is here', async () => {
  const { guard, broadcasts, released } = site();
  await broadcasts.load(COUNTS);
  guard.append([CLOSED]);
  expect(released()).toContain('describe.observed');
});

test('when offers with other broadcasts have pushed it out', async () => {
  const { guard, broadcasts, released } = site();
  for (const hash of [COUNTS, ...SUMS]) await broadcasts.load(hash);
  expect(broadcasts.loaded(COUNTS)).toBeUndefined();
  guard.append([CLOSED]);
  expect(released()).toContain('describe.observed');
});

test('after a restart, with a coordinator that does not give it again, also where the study ends', async () => {
  const restarted = site();
  restarted.guard.append([CLOSED]);
  expect(restarted.released()).toContain('describe.observed');
  const ended = site();
  documents.delete(COUNTS);
  await ended.guard.settle();
  expect(ended.released()).toContain('describe.observed');
});
