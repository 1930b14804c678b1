import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFolder } from '../../cli/commands/model.js';
import { type Audit, auditBundle } from '../../coordinator/audit.js';
import { sha256 } from '../../shared/bundle/bundle.js';
import { signatureFile } from '../../shared/bundle/verify.js';
import { canonicalJson } from '../../shared/canonical-json.js';
import { encodeDocument } from '../../shared/document.js';
import { MerkleLog } from '../../shared/merkle.js';
import { signRatification } from '../../shared/study-signatures.js';
import { type TranscriptEntry, transcriptHead, transcriptLeaf } from '../../shared/transcript.js';
import { evaluateStudy, parsePolicy } from '../../site-agent/policy.js';
import { OPEN_POLICY, smallStudy } from '../e2e/support.js';
import { CONSORTIUM_KEY, Composed, keyOf, until } from './composed.js';

/**
 * `model audit` after the fact. The tampering is done as well as a coordinator could that had every site's signature: heads,
 * digests and ratifications are made again to fit, so that only the arithmetic is left to speak.
 */
interface Published {
  readonly bundle: Map<string, Uint8Array>;
  readonly transcript: Map<string, Uint8Array>;
}

let world: Composed;
let kept: Published;
let hashesOnly: Published;

beforeAll(async () => {
  world = new Composed(['alder', 'birch', 'cedar', 'dogwood']);
  for (const site of world.sites.values()) site.policy = `${OPEN_POLICY}retainedTranscript: true\n`;
  await world.start();
  kept = await published('kept', { transcript: { retain: true } });
  hashesOnly = await published('hashes-only', {});
}, 120_000);

afterAll(() => world.close());

async function published(name: string, changes: Record<string, unknown>): Promise<Published> {
  const hash = world.propose(smallStudy(name, { ...changes, quorum: 4 }));
  await until(
    () => world.phase(hash) === 'published',
    () => `${world.phase(hash)} ${world.reason(hash)}`,
  );
  const folder = path.join(world.root, 'registry', `${name}-${hash.slice(0, 12)}`);
  return { bundle: readFolder(path.join(folder, 'bundle')), transcript: readFolder(path.join(folder, 'transcript')) };
}

const audit = ({ bundle, transcript }: Published): Audit =>
  auditBundle({ bundle, transcript: (file) => transcript.get(file), consortiumPublicKey: CONSORTIUM_KEY });

const reasons = (made: Published): string[] => audit(made).problems.map(({ message }) => message);

const copy = ({ bundle, transcript }: Published): Published => ({
  bundle: new Map(bundle),
  transcript: new Map(transcript),
});

const entriesOf = ({ transcript }: Published): TranscriptEntry[] =>
  JSON.parse(Buffer.from(transcript.get('transcript.json')!).toString()).entries;

/** Puts these entries and files in place, with every digest and all four ratifications made again to fit. */
function forged(from: Published, entries: TranscriptEntry[], files: Record<string, Uint8Array> = {}): Published {
  const made = copy(from);
  const bundle = JSON.parse(Buffer.from(made.bundle.get('bundle.json')!).toString());
  for (const [file, bytes] of Object.entries(files)) {
    made.bundle.set(file, bytes);
    bundle.files[file] = sha256(bytes);
    if (file === 'result.json') bundle.resultHash = sha256(bytes);
  }
  made.bundle.set('bundle.json', Buffer.from(`${canonicalJson(bundle)}\n`));
  const bundleDigest = sha256(made.bundle.get('bundle.json')!);
  const size = entries.findIndex(({ type }) => type === 'finished');
  const fitting = entries.with(size, { type: 'finished', bundleDigest });
  const log = new MerkleLog();
  for (const entry of fitting.slice(0, size)) log.append(transcriptLeaf(entry));
  const head = transcriptHead(bundle.studyHash, { size, root: log.root() });
  for (const site of world.names) {
    const { path: file, bytes } = signatureFile(
      signRatification(
        {
          studyHash: bundle.studyHash,
          bundleDigest,
          rosterVersion: 1,
          transcriptHead: head,
          site,
          verdict: 'ratified',
          reason: '',
        },
        keyOf(site),
      ),
    );
    made.bundle.set(file, bytes);
  }
  const document = JSON.parse(Buffer.from(made.transcript.get('transcript.json')!).toString());
  made.transcript.set('transcript.json', Buffer.from(JSON.stringify({ ...document, entries: fitting })));
  return made;
}

describe('an honest study', () => {
  test('that kept its masked inputs: totals, result and model are recomputed from them, bit for bit', () => {
    const made = audit(kept);
    expect(made.problems).toEqual([]);
    expect(made).toMatchObject({ proved: 'recomputed', signedBy: ['alder', 'birch', 'cedar', 'dogwood'] });
    expect(made.totals).toBeGreaterThan(5);
    expect(made.maskedInputs).toBe(4 * made.totals);
    // The forger's tools alone break nothing: what is found below is found by the check it is about.
    expect(reasons(forged(kept, entriesOf(kept)))).toEqual([]);
    // What was kept is no longer among the coordinator's blobs, and single inputs of other studies were never kept.
    expect([...kept.transcript.keys()].filter((file) => file.startsWith('inputs/'))).toHaveLength(4 * made.totals);
  });

  test('that kept hashes only: they are shown to be what the sites signed, and nothing more is claimed', () => {
    expect(audit(hashesOnly)).toMatchObject({ proved: 'committed', problems: [] });
    expect([...hashesOnly.transcript.keys()]).toEqual(['transcript.json']);
  });
});

describe('is found out and named:', () => {
  test('one flipped bit in a masked input', () => {
    const made = copy(kept);
    const file = [...made.transcript.keys()].find((name) => name.startsWith('inputs/'))!;
    const bytes = Uint8Array.from(made.transcript.get(file)!);
    bytes[3]! ^= 1;
    made.transcript.set(file, bytes);
    expect(reasons(made)).toEqual([
      expect.stringMatching(/^round \d+ .*masked input of site "\w+" is not the one it signed/),
    ]);
    // With its own hash in the transcript it is no longer what the site signed.
    const old = file.slice('inputs/'.length);
    const entries = entriesOf(kept).map((entry) =>
      entry.type === 'maskedInput' && entry.blobHash === old ? { ...entry, blobHash: sha256(bytes) } : entry,
    );
    expect(reasons(forged(made, entries))).toEqual([
      expect.stringMatching(/masked input of site "\w+" is not signed by it/),
    ]);
  });

  test('a changed total', () => {
    const wrong = sha256(Buffer.from('another total'));
    let seen = 0;
    const entries = entriesOf(kept).map((entry) =>
      entry.type === 'total' && ++seen === 3 ? { ...entry, totalHash: wrong } : entry,
    );
    expect(reasons(forged(kept, entries))).toEqual([
      expect.stringMatching(/^round 3 .*the total is not the sum of the masked inputs/),
    ]);
    const unsigned = copy(kept);
    const document = JSON.parse(Buffer.from(kept.transcript.get('transcript.json')!).toString());
    unsigned.transcript.set('transcript.json', Buffer.from(JSON.stringify({ ...document, entries })));
    expect(reasons(unsigned)).toEqual(
      world.names.map((site) => `the transcript is not the one that site "${site}" signed with the bundle`),
    );
  });

  test('a changed coefficient, in the result and in the model', () => {
    const result = JSON.parse(Buffer.from(kept.bundle.get('result.json')!).toString());
    result.model.coefficients[0].value += 1e-12;
    const changed = Buffer.from(`${canonicalJson(result)}\n`);
    expect(reasons(forged(kept, entriesOf(kept), { 'result.json': changed }))).toContain(
      'the result does not follow from the totals',
    );
    const model = Uint8Array.from(kept.bundle.get('model.onnx')!);
    model[model.length >> 1]! ^= 1;
    expect(reasons(forged(kept, entriesOf(kept), { 'model.onnx': model }))).toContain(
      'model.onnx does not follow from the totals',
    );
  });

  test('a removed round', () => {
    const entries = entriesOf(kept);
    const opened = entries.flatMap((entry, index) => (entry.type === 'roundOpened' ? [index] : []));
    const without = entries.toSpliced(opened[1]!, opened[2]! - opened[1]!);
    expect(reasons(forged(kept, without))[0]).toMatch(/round 2 is missing/);
    const last = entries.toSpliced(
      opened.at(-1)!,
      entries.findIndex(({ type }) => type === 'finished') - opened.at(-1)!,
    );
    expect(reasons(forged(kept, last))[0]).toMatch(/is missing: the study goes on/);
  });

  test('also where only hashes were kept: an approval, a signature, an attempt that is none of the sites’', () => {
    const change = (pick: (entry: TranscriptEntry) => TranscriptEntry) =>
      reasons(forged(hashesOnly, entriesOf(hashesOnly).map(pick)));
    expect(
      change((entry) => (entry.type === 'approval' && entry.site === 'cedar' ? { ...entry, reason: 'x' } : entry)),
    ).toEqual(['the approval of site "cedar" is missing or not signed by it']);
    expect(change((entry) => (entry.type === 'survivors' ? { ...entry, dropped: ['elm'] } : entry))[0]).toMatch(
      /signature of site "\w+" under the survivor set is wrong/,
    );
    expect(
      change((entry) =>
        entry.type === 'roundOpened' && entry.round === 2 ? { ...entry, computation: 'x' } : entry,
      )[0],
    ).toMatch(/attempt 1 is not about this round/);
  });
});

describe('whoever writes the files', () => {
  test('cannot have the evidence of a study that promised it left out', () => {
    const made = copy(kept);
    const document = JSON.parse(Buffer.from(kept.transcript.get('transcript.json')!).toString());
    made.transcript.set('transcript.json', Buffer.from(JSON.stringify({ ...document, retained: false })));
    expect(reasons(made)).toEqual(['the study promised to keep its masked inputs, and they are not here']);
  });

  test('cannot have rounds counted that come after the bundle', () => {
    const entries = entriesOf(hashesOnly);
    const first = entries.findIndex(({ type }) => type === 'roundOpened');
    const late = forged(hashesOnly, [...entries, ...entries.slice(first, first + 12)]);
    expect(audit(late)).toEqual({
      ...audit(hashesOnly),
      problems: [],
      entries: entries.length + 12,
      maskedInputs: expect.any(Number),
    });
  });

  test.each<[string, (made: Published) => void]>([
    ['a signature that is none', ({ bundle }) => bundle.set('signatures/alder.json', Buffer.from('{'))],
    ['an entry that is none', (made) => entry(made, null)],
    ['an entry of an unknown kind', (made) => entry(made, { type: 'constructor' })],
    ['an entry without its fields', (made) => entry(made, { type: 'maskedInput', context: 'x' })],
    [
      'an input outside the folder',
      (made) => entry(made, { ...entriesOf(made).find(({ type }) => type === 'maskedInput'), blobHash: '../../key' }),
    ],
    ['attempts of another form', ({ transcript }) => transcript.set('attempts.bin', encodeDocument({ attempts: [] }))],
    [
      'attempts without their fields',
      ({ transcript }) =>
        transcript.set('attempts.bin', encodeDocument({ format: 'concordat-attempts-1', attempts: [{ context: 3 }] })),
    ],
  ])('stops no audit half way: %s', (_, spoil) => {
    const made = copy(kept);
    spoil(made);
    let found: readonly unknown[];
    try {
      found = audit(made).problems;
    } catch (error) {
      expect(error).toMatchObject({ code: 'BUNDLE_UNREADABLE' });
      found = [error];
    }
    expect(found).not.toEqual([]);
  });

  function entry(made: Published, wrong: unknown): void {
    const document = JSON.parse(Buffer.from(made.transcript.get('transcript.json')!).toString());
    const entries = [wrong, ...document.entries];
    made.transcript.set('transcript.json', Buffer.from(JSON.stringify({ ...document, entries })));
  }
});

test('a site’s policy may refuse that anything is kept, and does so by default', () => {
  const study = smallStudy('kept', { transcript: { retain: true } });
  const decision = evaluateStudy(parsePolicy(OPEN_POLICY, 'policy.yaml'), study, {}, 'alder');
  expect(decision).toMatchObject({ allowed: false, reasons: [expect.stringContaining('transcript.retain')] });
  const allowing = parsePolicy(`${OPEN_POLICY}retainedTranscript: true\n`, 'policy.yaml');
  expect(evaluateStudy(allowing, study, {}, 'alder')).toEqual({ allowed: true });
});
