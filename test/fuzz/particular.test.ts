import { describe, expect, it } from 'vitest';
import { stepRound } from '../../coordinator/round.js';
import { verifyBundle } from '../../shared/bundle/verify.js';
import { canonicalJson } from '../../shared/canonical-json.js';
import { decodeDocument, encodeDocument, VERSION } from '../../shared/document.js';
import { ConcordatError } from '../../shared/errors.js';
import { LIMITS } from '../../shared/limits.js';
import { memoryBlobStore } from '../../shared/memory-stores.js';
import { memoryTransport } from '../../shared/memory-transport.js';
import { planStudy } from '../../shared/plan.js';
import { parseStudy } from '../../shared/study-parse.js';
import { downloadChunk } from '../../shared/wire/codecs.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { stepParticipant } from '../../site-agent/participant.js';
import { parsePolicy } from '../../site-agent/policy.js';
import { downloadBlob } from '../../site-agent/rpc-transfer.js';
import { leavesOf } from '../../site-agent/site-run.site.js';
import { bundleFiles } from '../bundle/bundle-folder.js';
import { preKeyOf } from '../secagg/kit.js';
import { TRACES } from './kinds/reducers.js';
import { fuzzStudy } from './study.js';

/** Inputs that are known to bring readers down, each by itself and at full size. */
function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
  return 'ok';
}

function document(header: string, after = new Uint8Array(0)): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(header));
  return Buffer.concat([encodeDocument(0).subarray(0, 5), length, Buffer.from(header), after]);
}

describe('YAML', () => {
  const levels = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      i === 0
        ? 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
        : `a${i}: &a${i} [${Array(9)
            .fill(`*a${i - 1}`)
            .join(', ')}]`,
    ).join('\n');

  it('whose aliases multiply is refused before they do', () => {
    expect(codeOf(() => parseStudy(`concordat: 1\n${levels(12)}\n`, 'study.yaml'))).toBe('STUDY_UNREADABLE');
    expect(codeOf(() => parsePolicy(`concordat: 1\n${levels(12)}\n`, 'policy.yaml'))).toBe('POLICY_UNREADABLE');
    expect(codeOf(() => parseStudy('a: &a\n  b: *a\n', 'study.yaml'))).toMatch(/^STUDY_/);
  });

  it.each([['['], ['{a: '], ['- '], ['? '], ['"'], ['!!set {']])('of 100,000 times %s is refused by name', (mark) => {
    const reading = () => parseStudy(`concordat: ${mark.repeat(100_000)}`, 'study.yaml');
    expect(['STUDY_UNREADABLE', 'STUDY_INVALID']).toContain(codeOf(reading));
  });
});

describe('CSV', () => {
  it('of a million columns is refused at once, with and without equal names', () => {
    const names = Array.from({ length: 1_000_000 }, (_, i) => `c${i}`).join(',');
    expect(codeOf(() => parseTable(`${names}\n1\n`, 'cases.csv'))).toBe('COHORT_INVALID');
    expect(codeOf(() => parseTable(`${'a,'.repeat(1_000_000)}\n1\n`, 'cases.csv'))).toBe('COHORT_INVALID');
  });

  it('with a quote that is never closed is refused', () => {
    expect(codeOf(() => parseTable(`id,f\n"${'x,\n'.repeat(500_000)}`, 'cases.csv'))).toBe('COHORT_UNREADABLE');
  });
});

describe('nesting', () => {
  it('of a document or of canonical JSON ends at a limit, not at the end of the stack', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(codeOf(() => decodeDocument(document(deep)))).toBe('WIRE_DOCUMENT_INVALID');
    expect(codeOf(() => decodeDocument(document('{"a":'.repeat(50_000) + 1 + '}'.repeat(50_000))))).toBe(
      'WIRE_DOCUMENT_INVALID',
    );
    expect(codeOf(() => canonicalJson(JSON.parse(deep)))).toBe('WIRE_NOT_CANONICAL');
  });
});

describe('a document', () => {
  it('that names the same bytes many times takes no more memory than it has', () => {
    const bytes = new Uint8Array(8000);
    const once = '{"$array":["f64",0,1000]}';
    expect(codeOf(() => decodeDocument(document(`[${once}]`, bytes)))).toBe('ok');
    expect(codeOf(() => decodeDocument(document(`[${Array(1000).fill(once).join(',')}]`, bytes)))).toBe(
      'WIRE_DOCUMENT_INVALID',
    );
  });

  it('of a newer format is refused with what to do', () => {
    const newer = Uint8Array.from(encodeDocument({ a: 1 }));
    newer[4] = VERSION + 1;
    expect(() => decodeDocument(newer)).toThrow(/made by a newer Concordat, upgrade this side/);
    expect(codeOf(() => decodeDocument(newer))).toBe('WIRE_VERSION_MISMATCH');
    newer[4] = 0;
    expect(codeOf(() => decodeDocument(newer))).toBe('WIRE_DOCUMENT_INVALID');
  });
});

describe('a download', () => {
  type Chunk = Parameters<typeof downloadChunk.encode>[0];
  const sample = { offset: 0, blobSize: 10 };
  const lineOf = (chunks: Iterable<Chunk>) => {
    let taken = 0;
    const call = {
      cancel: () => undefined,
      async *[Symbol.asyncIterator]() {
        for (const chunk of chunks) {
          taken++;
          yield { ...(downloadChunk.encode(chunk) as object), offset: String(chunk.offset) };
        }
      },
    };
    const stubs = { transfer: { download: () => call } };
    const line = { stubs, track: (made: unknown) => made, pause: async () => undefined } as never;
    return { line, taken: () => taken };
  };
  const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

  it('that is announced as larger than its taker allows is refused at its first piece', async () => {
    const { line, taken } = lineOf([{ ...sample, blobSize: 1000, data: new Uint8Array(1), sha256: EMPTY }]);
    await expect(downloadBlob(line, EMPTY, 999)).rejects.toMatchObject({ code: 'WIRE_SIZE_EXCEEDED' });
    expect(taken()).toBe(1);
  });

  it('that never says its size, or never brings a byte, ends', async () => {
    function* endless(blobSize: number | null): Iterable<Chunk> {
      for (;;) yield { offset: 0, blobSize, data: new Uint8Array(0), sha256: EMPTY };
    }
    for (const size of [null, 10])
      await expect(downloadBlob(lineOf(endless(size)).line, EMPTY)).rejects.toMatchObject({
        code: 'WIRE_SIZE_EXCEEDED',
      });
  });

  it('over the memory transport has the same limit', async () => {
    const blobs = memoryBlobStore();
    const hash = blobs.putBlob(new Uint8Array(100));
    const nothing = () => undefined;
    const transport = memoryTransport({
      ...{ onSiteConnected: nothing, onSiteMessage: nothing, onSiteDisconnected: nothing, onBlobStored: nothing },
      ...{
        enroll: () => Promise.reject(new Error('nobody')),
        blobs,
        mayUpload: () => true,
        mayDownload: () => true,
        mayAsk: () => true,
      },
      ...{ listBundles: () => [], getBundle: () => null },
    });
    const link = transport.connect('alder', { onConnected: nothing, onMessage: nothing, onDisconnected: nothing });
    await expect(link.download(hash, 99)).rejects.toMatchObject({ code: 'WIRE_SIZE_EXCEEDED' });
    expect((await link.download(hash, 100)).length).toBe(100);
  });
});

describe('slots with huge numbers', () => {
  const trace = TRACES[0]!;
  const { terms, roundConfig, siteConfigs } = trace;

  it('a pre-key far ahead of the study is turned away, one within reach is taken', () => {
    const state = trace.roundStates.find(({ phase }) => phase === 'preKeys')!;
    const slotAfter = (slot: number) => {
      const { preKey } = preKeyOf(terms, 'birch', slot);
      const message = { type: 'preKeyAnswer' as const, studyHash: terms.roster.studyHash, preKey };
      return stepRound(roundConfig, state, { type: 'message', site: 'birch', message, nowMs: 5 }).state.slot;
    };
    expect(slotAfter(state.slot + 3)).toBe(state.slot + 3);
    for (const slot of [state.slot + LIMITS.slotsAheadMax + 1, LIMITS.slotMax, 2 ** 32 - 1])
      expect(slotAfter(slot), String(slot)).toBe(state.slot);
  });

  it('a site is not led to its last slot by a request', () => {
    const { site, state } = trace.siteStates.at(-1)!;
    const message = { type: 'preKeyRequest' as const, studyHash: terms.roster.studyHash, slot: 2 ** 32 - 1 };
    const event = { type: 'message' as const, message, nowMs: 5, random: new Uint8Array(32) };
    const { effects } = stepParticipant(siteConfigs.get(site)!, state, event);
    expect(effects.filter(({ type }) => type === 'send')).toMatchObject([
      { type: 'send', message: { type: 'siteRefusal', code: 'SECAGG_PRE_KEY_INVALID' } },
    ]);
  });
});

describe('a broadcast', () => {
  it('that the site’s own half cannot work with, or that asks for more than can be sent, is refused by name', () => {
    const plan = planStudy(fuzzStudy());
    const leaves = (broadcast: unknown) =>
      codeOf(() => leavesOf(plan, SITE_COMPUTATIONS, { instance: 'describe', iteration: 1, broadcast }));
    for (const broadcast of [null, 7, {}, { step: 'counts', sites: 'alder' }])
      expect(leaves(broadcast)).toBe('POLICY_BROADCAST_INVALID');
    expect(codeOf(() => leavesOf(plan, SITE_COMPUTATIONS, { instance: 'none', iteration: 1, broadcast: {} }))).toBe(
      'POLICY_UNKNOWN_COMPUTATION',
    );
  });
});

describe('names that every object has', () => {
  it('cannot be columns or sites of a study', () => {
    const text = (feature: string, site: string) =>
      `concordat: 1\nname: odd\ncohort: {endpoint: {type: binary, column: mvi}, features: [f0, ${feature}]}\n` +
      `sites: {training: [alder, birch, ${site}]}\nmodel: {type: logistic, lambda: 0}\n`;
    expect(codeOf(() => parseStudy(text('f1', 'cedar'), 'study.yaml'))).toBe('ok');
    for (const name of ['constructor', 'toString', '__proto__'])
      expect(
        codeOf(() => parseStudy(text(name, 'cedar'), 'study.yaml')),
        name,
      ).toBe('STUDY_INVALID');
    expect(codeOf(() => parseStudy(text('f1', 'constructor'), 'study.yaml'))).toBe('STUDY_INVALID');
  });

  it('are no files of a bundle that nobody signed', () => {
    const files = bundleFiles();
    expect(verifyBundle(files).problems).toEqual([]);
    for (const path of ['constructor', 'toString', '__proto__']) {
      const more = new Map(files).set(path, new Uint8Array(3));
      expect(verifyBundle(more).problems, path).toEqual([
        { file: path, message: 'the file is no part of the bundle, nobody signed it' },
      ]);
    }
  });
});
