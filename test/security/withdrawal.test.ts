import { afterEach, expect, test } from 'vitest';
import type { GuardState } from '../../shared/guard-decision.js';
import { Secret } from '../../shared/secret.js';
import type { FromSite } from '../../shared/wire/types.js';
import { type AgentConfig, AgentContext } from '../../site-agent/shell/agent-context.js';
import { withdraw } from '../../site-agent/shell/decide.js';
import type { LedgerKeeper } from '../../site-agent/shell/ledger-keeper.js';
import { StudyPorts } from '../../site-agent/shell/study-ports.js';
import { knownStudies } from '../../site-agent/site-records.js';
import { smallStudy } from '../e2e/support.js';
import { type ComposedSite, closeFederation, federation, keyOf, story, until } from './composed.js';

/** A hospital that has approved leaves the study: nothing more of it goes out, durably, whoever asks. */
afterEach(closeFederation);

/** As `concordat site withdraw` beside the running agent. */
function leave(site: ComposedSite, hash: string, reason = 'the board has decided so'): void {
  const known = knownStudies(site.store).find(({ studyHash }) => studyHash === hash)!;
  withdraw(site.store, known, { signingKey: keyOf(site.name), reason, nowMs: 1 });
}

/** Everything that the site sends, of rounds and decisions; it leaves right after so many masked inputs. */
function leaveAfter(site: ComposedSite, inputs: number, hash: () => string): FromSite[] {
  const sent: FromSite[] = [];
  site.beforeSend = (message) => {
    sent.push(message);
    if (message.type === 'maskedInput' && sent.filter(({ type }) => type === 'maskedInput').length === inputs)
      leave(site, hash());
    return message;
  };
  return sent;
}

const carriesData = ({ type }: FromSite) => ['maskedInput', 'survivorsSigned', 'sharesReleased'].includes(type);
test('before the first total the study ends as withdrawn', async () => {
  const of = await federation((made) => {
    made.site('dogwood').policy = 'concordat: 1\n';
  });
  const hash = of.propose(smallStudy('early'));
  const alder = of.site('alder');
  await until(() => knownStudies(alder.store)[0]?.approval?.decision === 'approved', story(of, hash));
  leave(alder, hash);
  await until(() => of.phase(hash) === 'withdrawn', story(of, hash));
  expect(of.reason(hash)).toBe('alder withdrew before the first total: the board has decided so');
}, 60_000);

test('in the middle of a run nothing more leaves, the study ends for all, and a restart changes nothing', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const sent = leaveAfter(alder, 4, () => hash);
  const hash = of.propose(smallStudy('midway'));
  await until(() => of.phase(hash) === 'withdrawn', story(of, hash));
  const before = sent.filter(carriesData).length;
  expect(sent.filter(carriesData).at(-1)!.type).toBe('maskedInput');
  expect(of.reason(hash)).toMatch(/^alder withdrew after \d+ totals: the board has decided so$/);
  for (const site of of.sites.values())
    await until(
      () => site.progress.some((event) => event.kind === 'study' && event.state === 'withdrawn'),
      story(of, hash),
    );
  expect(sent.filter(carriesData).length).toBe(before);
  expect([alder.store.secretNames(hash), alder.store.secretNames(`${hash}/box`)]).toEqual([[], []]);
  alder.agent.stop();
  await alder.start();
  await of.stopCoordinator();
  await of.startCoordinator();
  of.connectAll();
  expect(of.phase(hash)).toBe('withdrawn');
  expect(sent.filter(carriesData).length).toBe(before);
  expect(() => leave(alder, hash)).toThrow(expect.objectContaining({ code: 'STUDY_WRONG_PHASE' }));
}, 60_000);

test('a coordinator that ignores the withdrawal gets nothing more, also after the site was started again', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const sent = leaveAfter(alder, 3, () => hash);
  const send = alder.beforeSend;
  alder.beforeSend = (message) => {
    const passed = send(message);
    return message.type === 'approval' && message.approval.decision === 'withdrawn' ? null : passed;
  };
  const hash = of.propose(smallStudy('ignored'));
  await until(
    () => alder.progress.some((event) => event.kind === 'study' && event.state === 'withdrawn here'),
    story(of, hash),
  );
  const before = sent.filter(carriesData).length;
  expect(sent.filter(({ type }) => type === 'maskedInput')).toHaveLength(3);
  for (let again = 0; again < 2; again++) {
    alder.agent.stop();
    await alder.start();
    alder.connect(of.transport);
    await until(() => sent.filter(({ type }) => type === 'approval').length > 2 + again, story(of, hash));
    await alder.settled;
  }
  expect(sent.filter(carriesData).length).toBe(before);
  expect(of.phase(hash)).not.toBe('published');
  expect(() => leave(alder, hash)).toThrow(expect.objectContaining({ code: 'SITE_ALREADY_DECIDED' }));
  // Should a computation have been under way: its release and its upload are refused, and its messages dropped.
  const said: string[] = [];
  const store = alder.store;
  const link = {
    connected: true,
    send: () => said.push('sent') > 0,
    upload: async () => '',
    download: async () => new Uint8Array(),
  };
  const context = new AgentContext({ site: 'alder', store, link } as unknown as AgentConfig);
  const known = context.log.study(hash)!;
  const ports = new StudyPorts(context, {} as LedgerKeeper).of(known, smallStudy('ignored'), 40, () => undefined);
  const withdrawn = expect.objectContaining({ code: 'SITE_WITHDRAWN' });
  expect(() => ports.requireStaying()).toThrow(withdrawn);
  await expect(ports.uploadBlob('a'.repeat(64), true)).rejects.toThrow(withdrawn);
  ports.send({ type: 'siteReady', studyHash: hash, incarnation: 'one', context: null });
  expect(said).toEqual([]);
}, 60_000);

test('a masked input that left without a signed set counts as released for the guard', async () => {
  const of = await federation();
  const alder = of.site('alder');
  const hash = of.propose(smallStudy('unsigned'));
  // The others go on to a set that alder never hears of.
  let left = false;
  alder.beforeSend = (message) => {
    if (message.type === 'maskedInput') left = true;
    return message;
  };
  const receive = alder.receive.bind(alder);
  alder.receive = (message) => {
    if (!left) receive(message);
  };
  await until(() => left, story(of, hash));
  const guard = (): GuardState | null => {
    const stored = [...alder.store.settings()].find(([key]) => key.startsWith('guard '));
    return stored === undefined ? null : (JSON.parse(stored[1]) as GuardState);
  };
  expect(guard()).toBeNull();
  leave(alder, hash);
  await until(() => guard() !== null, story(of, hash));
  expect(guard()!.kinds['describe.observed']!.vectors).toHaveLength(1);
}, 60_000);

test('nobody withdraws for somebody else, and only from what was approved', async () => {
  const of = await federation((made) => {
    made.site('dogwood').policy = 'concordat: 1\n';
  });
  const hash = of.propose(smallStudy('forged'));
  const alder = of.site('alder');
  await until(() => knownStudies(alder.store)[0]?.approval?.decision === 'approved', story(of, hash));
  const known = knownStudies(alder.store)[0]!;
  const forged = withdraw(of.site('birch').store, known, {
    signingKey: new Secret(new Uint8Array(32).fill(1)),
    reason: 'not me',
    nowMs: 1,
  });
  of.service.onSiteMessage('alder', { type: 'approval', approval: forged });
  expect(of.progress.filter((event) => event.kind === 'refused')).toMatchObject([{ code: 'SITE_SIGNATURE_INVALID' }]);
  expect(of.phase(hash)).toBe('proposed');
  await until(() => knownStudies(of.site('dogwood').store).length === 1, story(of, hash));
  expect(() => leave(of.site('dogwood'), hash)).toThrow(expect.objectContaining({ code: 'STUDY_WRONG_PHASE' }));
}, 60_000);
