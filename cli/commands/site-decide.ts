import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { takenOver } from '../../shared/bundle/learned.js';
import { ConcordatError } from '../../shared/errors.js';
import { planStudy } from '../../shared/plan.js';
import type { Study } from '../../shared/study.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import { type Output, output } from '../console.js';
import { type ApproverOptions, approverAtKeyboard, withApprover } from './site-approver.js';
import { findStudy, studiesOf, withStore } from './site-store.js';

interface SiteOptions {
  readonly dir: string;
}

interface ApproveOptions extends SiteOptions, ApproverOptions {
  readonly startOver?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly restored?: boolean;
}

/** What a hospital decides on a study: `site approve`, `decline`, `withdraw`. */
export function registerSiteDecisions(site: Command): void {
  const withFolder = (command: Command) => command.requiredOption('--dir <folder>', 'folder of the site');
  const out = (command: Command): Output => output(command.optsWithGlobals()['json'] === true);

  withApprover(withFolder(site.command('approve')))
    .description('show what would leave, then approve; the running agent sends the decision')
    .argument('<study>', 'hash of the study, or its first digits')
    .option('--yes', 'do not ask (the picture is shown all the same)')
    .option('--dry-run', 'show what would leave and stop')
    .option('--start-over', 'what other approvers signed, for another cohort or under other approvers, counts no more')
    .option('--restored', 'although this site was started from a backup and cannot know what left since')
    .action(async (study: string, options: ApproveOptions, command: Command) => {
      await approve(study, options, out(command));
    });

  withApprover(withFolder(site.command('decline')))
    .description('decline a study; the running agent sends the decision')
    .argument('<study>', 'hash of the study, or its first digits')
    .requiredOption('--reason <text>', 'why, in a sentence that the consortium will read')
    .action(async (study: string, options: SiteOptions & ApproverOptions & { reason: string }, command: Command) => {
      const { signForSite } = await import('../../site-agent/shell/approver-decide.js');
      const { sitePolicy } = await import('../run-site.js');
      const { decide } = await import('../../site-agent/shell/decide.js');
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      const { site: name, signingKey } = readSiteKeys(options.dir);
      const rule = sitePolicy(options.dir).approval ?? null;
      const key = await approverAtKeyboard(rule, options);
      const known = await withStore(options.dir, async (store) => {
        const found = findStudy(study, await studiesOf(store));
        const nowMs = Date.now();
        if (rule !== null && key !== null)
          signForSite(store, found, rule, { site: name, key, decision: 'declined', cohortDigest: '', nowMs });
        decide(store, found, {
          site: name,
          signingKey,
          frozen: null,
          decision: 'declined',
          reason: options.reason,
          nowMs,
          rule,
        });
        return found;
      });
      out(command).result(`Declined ${known.studyHash.slice(0, 12)}.`, {
        study: known.studyHash,
        decision: 'declined',
        reason: options.reason,
      });
    });

  withFolder(site.command('withdraw'))
    .description('stop every further contribution to a study that this site approved; the study ends')
    .argument('<study>', 'hash of the study, or its first digits')
    .requiredOption('--reason <text>', 'why, in a sentence that the consortium will read')
    .action(async (study: string, options: SiteOptions & { reason: string }, command: Command) => {
      const { withdraw } = await import('../../site-agent/shell/decide.js');
      const { readSiteKeys } = await import('../../site-agent/keys.js');
      const { signingKey } = readSiteKeys(options.dir);
      const { known, totals } = await withStore(options.dir, async (store) => {
        const known = findStudy(study, await studiesOf(store));
        withdraw(store, known, { signingKey, reason: options.reason, nowMs: Date.now() });
        const closed = known.participant.filter((record) => record.type === 'closed' && record.outcome === 'total');
        return { known, totals: closed.length };
      });
      const taken =
        totals === 0
          ? 'No total has this site’s contribution in it.'
          : `${totals} totals have this site’s contribution in them and cannot be taken back.`;
      out(command).result(
        `Withdrawn from ${known.studyHash.slice(0, 12)}: nothing more of it leaves this site.\n${taken}\nThe running agent tells the coordinator, and the study ends for everybody.`,
        { study: known.studyHash, decision: 'withdrawn', reason: options.reason, totals },
      );
    });
}

/** What the study wants of this site's images, extracted before anybody is asked: the cohort is frozen with it. */
async function extractImages(study: Study, folder: string, out: Output): Promise<void> {
  const { prepareCohort } = await import('../../site-agent/radiomics/shell/prepare-cohort.js');
  const { extractionProgress } = await import('../extraction-progress.js');
  const progress = extractionProgress(out);
  await prepareCohort(study, folder, { onCase: progress.onCase });
  progress.end();
}

/** Why what the study takes over from earlier ones is not what they published; bundles that do not lie here yet are fetched. */
async function originsOf(
  study: Study,
  { folder, consortiumPublicKey }: { readonly folder: string; readonly consortiumPublicKey?: Uint8Array },
): Promise<string[]> {
  if (consortiumPublicKey === undefined) return [];
  const { originsAt, fetchEarlierBundles } = await import('../../site-agent/shell/earlier-bundles.js');
  const problems = () => originsAt(study, folder, consortiumPublicKey);
  if (problems().length === 0) return [];
  const { openSiteRegistry } = await import('../run-site.js');
  const registry = openSiteRegistry(folder);
  try {
    await fetchEarlierBundles(study, { folder, consortiumPublicKey }, registry);
  } finally {
    await registry.close();
  }
  return problems();
}

// Approval -----------------------------------------------------------------------------------------------------------

async function approve(digits: string, options: ApproveOptions, out: Output): Promise<void> {
  const { decide, decisionGrounds, requireUndecided } = await import('../../site-agent/shell/decide.js');
  const { readEnrolled, readSiteKeys } = await import('../../site-agent/keys.js');
  const { leavesByComputation } = await import('../../site-agent/preview.js');
  const { sitePolicy } = await import('../run-site.js');
  const { acceptHistory, historyOf, resumedDigest } = await import('../../site-agent/shell/restored.js');
  const { approvalPicture } = await import('../approval-picture.js');
  const { trustedRoster } = await import('../../site-agent/roster-store.js');
  const { signForSite } = await import('../../site-agent/shell/approver-decide.js');
  const { site, signingKey } = readSiteKeys(options.dir);
  const policy = sitePolicy(options.dir);
  const rule = policy.approval ?? null;
  const key = options.dryRun === true ? null : await approverAtKeyboard(rule, options);
  await withStore(options.dir, async (store) => {
    const known = findStudy(digits, await studiesOf(store));
    const again = options.restored === true && historyOf(store, known.studyHash) === 'unknown';
    if (options.dryRun !== true && !again) requireUndecided(known);
    const study = readStudyDocument(known.document, known.studyHash);
    const takesOver = study.imaging !== undefined && takenOver(study.imaging).size > 0;
    const pinned = takesOver ? { consortiumPublicKey: readEnrolled(options.dir).consortiumPublicKey } : {};
    const place = {
      site,
      folder: options.dir,
      policy,
      ...pinned,
      nowMs: Date.now(),
      restoreAccepted: options.restored === true,
    };
    const origins = await originsOf(study, { folder: options.dir, ...pinned });
    if (origins.length > 0)
      throw new ConcordatError('POLICY_STUDY_REFUSED', 'the study takes values over that no earlier study published', {
        problems: origins.map((message) => ({ message })),
      });
    if (study.imaging !== undefined) await extractImages(study, options.dir, out);
    const grounds = decisionGrounds(store, known, place, leavesByComputation(planStudy(study)));
    const picture = approvalPicture(study, known, trustedRoster(store, known.rosterVersion), site, grounds);
    if (!out.json) out.result(picture.text, picture.data);
    if (grounds.reasons.length > 0)
      throw new ConcordatError('POLICY_STUDY_REFUSED', 'this site’s policy does not allow the study', {
        problems: grounds.reasons.map((message) => ({ message })),
      });
    if (options.dryRun === true) {
      if (out.json) out.result('', { ...picture.data, decision: null });
      return;
    }
    if (
      options.yes !== true &&
      !(await confirmed(
        `Approve ${known.studyHash.slice(0, 12)} for site ${site}${key === null ? '' : ` as ${key.name}`}? [y/N] `,
      ))
    ) {
      out.result('Nothing was decided.', { ...picture.data, decision: null });
      return;
    }
    const nowMs = Date.now();
    if (rule !== null && key !== null) {
      const startOver = options.startOver === true;
      const { digest } = grounds.frozen;
      const cohortDigest = again ? resumedDigest(store, digest) : digest;
      const missing = signForSite(store, known, rule, {
        site,
        key,
        decision: again ? 'resumed' : 'approved',
        cohortDigest,
        nowMs,
        startOver,
      });
      if (missing > 0) {
        const others = missing === 1 ? 'Another approver' : `${missing} other approvers`;
        out.result(`Signed as ${key.name}. ${others} must sign before anything is sent.`, {
          ...picture.data,
          decision: null,
          signed: key.name,
          missing,
        });
        return;
      }
    }
    if (again) {
      acceptHistory(store, known, { site, cohortDigest: grounds.frozen.digest, rule });
      const text =
        'Approved to go on. Start the agent again: it takes the whole plan as released and goes on from there.';
      out.result(text, { ...picture.data, decision: 'approved', restored: true });
      return;
    }
    decide(store, known, {
      site,
      signingKey,
      frozen: grounds.frozen,
      decision: 'approved',
      reason: '',
      nowMs,
      rule,
    });
    out.result('Approved and signed. The running agent sends it.', { ...picture.data, decision: 'approved' });
  });
}

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(question);
  prompt.close();
  return /^y(es)?$/i.test(answer.trim());
}
