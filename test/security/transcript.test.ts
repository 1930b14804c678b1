import { afterEach, describe, expect, test } from 'vitest';
import type { LoggedEvent } from '../../coordinator/study-host-types.js';
import { Transcript } from '../../coordinator/transcript.js';
import { decodeDocument } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { sha256 } from '../../shared/memory-stores.js';
import { studyHash } from '../../shared/study.js';
import type { TranscriptRequest } from '../../shared/study-messages.js';
import { studyDocument } from '../../shared/study-signatures.js';
import { transcriptHead } from '../../shared/transcript.js';
import { RatificationDesk } from '../../site-agent/shell/ratification.js';
import { knownStudies } from '../../site-agent/site-records.js';
import { smallStudy } from '../e2e/support.js';
import { type Composed, closeFederation, federation, story, until } from './composed.js';

/**
 * Every site watches that what it sent is in the coordinator's transcript, and that the transcript only grows. The
 * coordinator is made to cheat as well as it can: it answers from a whole, well-formed transcript of a false history.
 */
afterEach(closeFederation);

/** The transcript of the coordinator's log as it would be if `change` had happened to it; null leaves an event out. */
function falseHistory(of: Composed, hash: string, change: (event: LoggedEvent) => LoggedEvent | null): Transcript {
  const made = new Transcript(hash);
  for (const { payload } of of.events.replay({ study: hash })) {
    const event = change(decodeDocument(payload) as LoggedEvent);
    if (event !== null) made.record(event);
  }
  return made;
}

/** From the `from`-th proof on, birch is answered from a false history. */
function cheatBirch(of: Composed, from: number, change: () => (event: LoggedEvent) => LoggedEvent | null): void {
  const birch = of.site('birch');
  const receive = birch.receive.bind(birch);
  let asked: TranscriptRequest | null = null;
  let proofs = 0;
  birch.beforeSend = (message) => {
    if (message.type === 'transcriptRequest') asked = message;
    return message;
  };
  birch.receive = (message) => {
    if (message.type !== 'transcriptProof' || ++proofs < from) return receive(message);
    receive(falseHistory(of, message.studyHash, change()).proof('birch', asked!));
  };
}

/** Changes the n-th masked input of a site in the log. */
function nthInput(site: string, wanted: number, replace: (event: LoggedEvent) => LoggedEvent | null) {
  const seen = new Set<string>();
  return (event: LoggedEvent): LoggedEvent | null => {
    if (event.type !== 'round' || event.record.type !== 'maskedInput' || event.record.site !== site) return event;
    seen.add(event.record.context);
    return [...seen].indexOf(event.record.context) === wanted - 1 ? replace(event) : event;
  };
}

const withOtherBlob = (event: LoggedEvent): LoggedEvent =>
  event.type === 'round' && event.record.type === 'maskedInput'
    ? { ...event, record: { ...event.record, blobHash: sha256(Buffer.from('another masked input')) } }
    : event;

test('of an honest coordinator is proven to each site, round by round, up to the head that all of them sign', async () => {
  const of = await federation();
  const hash = of.propose(smallStudy('watched'));
  await until(() => of.phase(hash) === 'published', story(of, hash));
  const honest = falseHistory(of, hash, (event) => event);
  for (const site of of.sites.values()) {
    await site.settled;
    expect(site.problems()).toEqual([]);
    const known = knownStudies({
      // The fold of an ended study forgets what is proven: as it stood before.
      replay: (options) => [...site.store.replay(options)].filter(({ type }) => type !== 'closed'),
    }).find(({ studyHash }) => studyHash === hash)!;
    const rounds = known.participant.filter(({ type }) => type === 'acknowledged').length;
    expect(rounds).toBeGreaterThan(5);
    expect(known.unproven.size).toBe(0);
    expect(transcriptHead(hash, known.transcript!)).toBe(honest.head);
    expect(known.ratification?.transcriptHead ?? honest.head).toBe(honest.head);
    // One proof for each round, while it runs and not only at the end.
    const proofs = [...site.store.replay({ study: hash })].filter(({ type }) => type === 'transcript');
    expect(proofs.length).toBeGreaterThanOrEqual(rounds);
  }
}, 60_000);

describe('of a coordinator that', () => {
  const cases = [
    {
      what: 'drops a masked input that it acknowledged',
      code: 'STUDY_TRANSCRIPT_INPUT_MISSING',
      change: () => nthInput('birch', 3, () => null),
    },
    {
      what: 'replaces it by another',
      code: 'STUDY_TRANSCRIPT_INPUT_MISSING',
      change: () => nthInput('birch', 3, withOtherBlob),
    },
    {
      what: 'shows another history of what was shown before',
      code: 'STUDY_TRANSCRIPT_FORKED',
      change: () => nthInput('alder', 1, withOtherBlob),
    },
  ] as const;
  test.each(cases)(
    '$what is refused by the site at the same total, for good',
    async ({ code, change }) => {
      const of = await federation();
      cheatBirch(of, 3, change);
      const birch = of.site('birch');
      const hash = of.propose(smallStudy('false-history'));
      await until(() => birch.problems().includes(code), story(of, hash));
      // The coordinator's operator hears it, and the study does not go on.
      await until(
        () =>
          of.progress.some(
            (event) => event.kind === 'round-report' && event.report.kind === 'refused' && event.report.code === code,
          ),
        story(of, hash),
      );
      const known = () => knownStudies(birch.store).find(({ studyHash }) => studyHash === hash)!;
      expect(known().transcriptRefusal).toBe(code);
      const left = birch.store.ledger().length;
      expect(left).toBeLessThanOrEqual(4);
      // Nor after a restart, also where the coordinator is honest again.
      birch.agent.stop();
      of.transport.disconnect('birch', new ConcordatError('WIRE_DISCONNECTED', 'stopped'));
      birch.receive = Object.getPrototypeOf(birch).receive.bind(birch);
      const before = birch.problems().length;
      await birch.start();
      birch.connect(of.transport);
      await until(() => birch.problems().length > before, story(of, hash));
      expect(birch.problems().slice(before)).toContain(code);
      expect(birch.store.ledger()).toHaveLength(left);
      expect(of.phase(hash)).toBe('running');
    },
    60_000,
  );

  test('asks for a signature under another head than it has proven gets a refusal', async () => {
    const of = await federation();
    const birch = of.site('birch');
    const receive = birch.receive.bind(birch);
    birch.receive = (message) =>
      receive(
        message.type === 'ratificationRequest'
          ? { ...message, transcriptHead: sha256(Buffer.from('another head')) }
          : message,
      );
    const hash = of.propose(smallStudy('another-head', { quorum: 4 }));
    await until(() => birch.problems().includes('STUDY_TRANSCRIPT_FORKED'), story(of, hash));
    await birch.settled;
    const { ratification } = knownStudies(birch.store).find(({ studyHash }) => studyHash === hash)!;
    expect(ratification).toMatchObject({ verdict: 'refused', reason: expect.stringContaining('TRANSCRIPT_FORKED') });
    expect(of.phase(hash)).toBe('validated');
  }, 60_000);
});

test('that cannot answer, because the line breaks each time it is asked for a signature, is accused of nothing', async () => {
  const study = { ...smallStudy('lost-heads'), onMissingSite: 'continue' as const };
  const known = {
    studyHash: studyHash(study),
    document: studyDocument(study),
    rosterVersion: 1,
    approval: { decision: 'approved' },
    withdrawal: null,
    ratification: null,
    transcriptRefusal: null,
    participant: [],
    unproven: new Map(),
  };
  let accusations = 0;
  const asked: boolean[] = [];
  const transcripts = {
    isProven: () => false,
    poke: (_: string, head: boolean) => void asked.push(head),
    refuse: () => {
      accusations++;
      throw new ConcordatError('STUDY_TRANSCRIPT_FORKED', 'another head');
    },
  };
  const context = { config: { site: 'birch' }, log: { study: () => known } };
  const desk = new RatificationDesk(context as never, null as never, transcripts as never);
  const request = { type: 'ratificationRequest', studyHash: known.studyHash, rosterVersion: 1, files: [] };
  // A request with every connection, and no answer on any.
  for (let connection = 0; connection < 4; connection++) await desk.onRequest(request as never);
  expect(asked).toEqual([true, true, true, true]);
  expect(accusations).toBe(0);
  // Two answers with another head than the one that is to be signed: that is one.
  await desk.onTranscript(known.studyHash);
  await expect(desk.onTranscript(known.studyHash)).rejects.toMatchObject({ code: 'STUDY_TRANSCRIPT_FORKED' });
  expect(accusations).toBe(1);
});
