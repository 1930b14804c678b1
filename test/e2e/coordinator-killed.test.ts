import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LoggedEvent } from '../../coordinator/study-host-types.js';
import { studyHash } from '../../shared/study.js';
import { studyDocument } from '../../shared/study-signatures.js';
import { kindOf, readResult, smallStudy, TestFederation } from './support.js';

/**
 * One study, one coordinator, killed with SIGKILL after each kind of event that its log knows of and started again on the
 * same port. While it is killed the test holds the log's write lock, so the kind that it died after is certain: it is
 * still the last event when the process is gone.
 */
const KINDS = [
  'proposed',
  'approval',
  'roundOpened',
  'preKey',
  'attemptOpened',
  'maskedInput',
  'survivors',
  'signature',
  'agreed',
  'shares',
  'total',
  'finished',
  'ratification',
  'publication',
] as const;

let federation: TestFederation;
const study = smallStudy('secure');
const diedAfter: string[] = [];
let bundle: string;

beforeAll(async () => {
  federation = await TestFederation.start();
  const { coordinator } = federation;
  const log = federation.openLog();
  const rounds: number[] = [];
  try {
    const proposing = federation.propose(study);
    for (const kind of KINDS) {
      const killed = await log.holdAt(
        (event: LoggedEvent) => kindOf(event) === kind,
        async () => {
          coordinator.signal('SIGKILL');
          await coordinator.ended();
          const last = log.last()!;
          diedAfter.push(kindOf(last.event));
          rounds.push(last.sequence);
        },
      );
      if (!killed) throw new Error(`no event "${kind}" was the last one for long enough\n${federation.logs()}`);
      coordinator.start();
    }
    await proposing;
    expect([...rounds].sort((a, b) => a - b)).toEqual(rounds);
  } finally {
    log.close();
  }
  bundle = await federation.published(study);
}, 300_000);
afterAll(() => federation?.stop());

it('was killed after each kind of event of an undisturbed study', () => {
  expect(diedAfter).toEqual(KINDS);
  // Nothing that an undisturbed study logs is missing from the list; the last one only tidies up behind a closed study.
  const logged = new Set(federation.eventsOf(study).map(kindOf));
  for (const kind of KINDS) logged.delete(kind);
  expect([...logged].filter((kind) => !['abandoned', 'attemptAborted', 'preKeyVoid'].includes(kind))).toEqual([]);
});

it('publishes the bytes of an undisturbed run', () => {
  expect(readResult(bundle)).toBe(federation.simulated(study));
  expect(federation.verify(bundle).problems).toEqual([]);
});

it('took every event once and no round twice', () => {
  const events = federation.eventsOf(study);
  const count = (kind: string) => events.filter((event) => kindOf(event) === kind).length;
  expect(count('proposed')).toBe(1);
  expect(count('approval')).toBe(4);
  expect(count('finished')).toBe(1);
  expect(count('publication')).toBe(1);
  expect(count('roundOpened')).toBe(count('total'));
  expect(count('total')).toBe(JSON.parse(readResult(bundle)).totals.length);
  const contexts = events.flatMap((event) =>
    event.type === 'round' && event.record.type === 'attemptOpened' ? [event.record.context] : [],
  );
  expect(new Set(contexts).size).toBe(contexts.length);
});

it('tells every site at last that the study was published', async () => {
  for (const [, site] of federation.sites) await federation.line(site, / secure published/);
});

it('answers a proposal that it was killed over, before it could be answered', async () => {
  const { coordinator, coordinatorFolder } = federation;
  await coordinator.stop();
  // The request is still in the inbox, and its event in the log.
  const hash = studyHash(study);
  const request = path.join(coordinatorFolder, 'inbox', 'left-behind.json');
  const document = Buffer.from(studyDocument(study)).toString('utf8');
  writeFileSync(request, JSON.stringify({ type: 'propose', studyHash: hash, document }));
  coordinator.start();
  const answer = await federation.wait('the answer', () =>
    existsSync(`${request}.done`) ? readFileSync(`${request}.done`, 'utf8') : undefined,
  );
  expect(JSON.parse(answer)).toEqual({ ok: true });
  expect(federation.eventsOf(study).filter((event) => kindOf(event) === 'proposed').length).toBe(1);
});

it('leaves nothing half-written in the registry', async () => {
  const { stdout } = await federation.concordat('model', 'list', '--dir', federation.coordinatorFolder, '--json');
  expect(JSON.parse(stdout).models.map(({ phase }: { phase: string }) => phase)).toEqual(['published']);
  expect(readdirSync(path.join(federation.coordinatorFolder, 'registry'))).toEqual([
    `secure-${studyHash(study).slice(0, 12)}`,
  ]);
});
