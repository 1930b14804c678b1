import { describe, expect, it } from 'vitest';
import { parseBundle } from '../../shared/bundle/bundle.js';
import { verifyBundle } from '../../shared/bundle/verify.js';
import { bundleFiles, consortiumPublicKey, SITES } from './bundle-folder.js';

const pin = { consortiumPublicKey };
const messages = (files: Map<string, Uint8Array>) => verifyBundle(files, pin).problems.map(({ message }) => message);

describe('a good bundle', () => {
  it('verifies offline', () => {
    const verification = verifyBundle(bundleFiles(), pin);
    expect(verification.problems).toEqual([]);
    expect(verification).toMatchObject({ ratified: SITES, refused: [], quorum: 2, rosterPinned: true });
    expect(verification.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('needs its quorum, not everyone', () => {
    expect(verifyBundle(bundleFiles({ signers: ['alder', 'cedar'] }), pin).problems).toEqual([]);
    expect(messages(bundleFiles({ signers: ['cedar'] }))).toEqual(['1 good ratifications, the study wants 2']);
  });

  it('says where the roster was not pinned', () => {
    expect(verifyBundle(bundleFiles()).rosterPinned).toBe(false);
  });

  it('counts a refusal as a refusal', () => {
    const files = bundleFiles({ change: (own) => (own.site === 'alder' ? { ...own, verdict: 'refused' } : own) });
    expect(verifyBundle(files, pin)).toMatchObject({ ratified: ['birch', 'cedar'], refused: ['alder'], problems: [] });
  });

  it('the same content gives the same bytes', () => {
    expect(bundleFiles()).toEqual(bundleFiles());
  });
});

describe('a bad bundle', () => {
  const flipped = (path: string) => {
    const files = bundleFiles();
    const bytes = Uint8Array.from(files.get(path)!);
    bytes[bytes.length - 3]! ^= 1;
    return files.set(path, bytes);
  };

  it.each(['model.onnx', 'card.md', 'result.json'])('a flipped bit in %s is found', (path) => {
    expect(messages(flipped(path)).some((message) => message.includes('SHA-256 differs'))).toBe(true);
  });

  it('another bundle.json loses every signature', () => {
    const files = bundleFiles();
    const text = Buffer.from(files.get('bundle.json')!).toString().replace('"threshold":0.42', '"threshold":0.41');
    expect(messages(files.set('bundle.json', Buffer.from(text)))).toEqual([
      ...SITES.map(() => 'the site signed another bundle'),
      '0 good ratifications, the study wants 2',
    ]);
  });

  it('missing and added files are named', () => {
    const files = bundleFiles();
    files.delete('card.md');
    files.set('notes.txt', new Uint8Array(1));
    expect(verifyBundle(files, pin).problems.map(({ file }) => file)).toEqual(['card.md', 'notes.txt']);
  });

  it('a forged, moved or foreign signature does not count', () => {
    const forged = bundleFiles();
    const text = Buffer.from(forged.get('signatures/alder.json')!).toString();
    forged.set(
      'signatures/alder.json',
      Buffer.from(text.replace(/"signature": "(.)/, (_, digit) => `"signature": "${digit === '0' ? '1' : '0'}`)),
    );
    expect(messages(forged)).toEqual(['the signature is wrong']);
    const moved = bundleFiles();
    moved.set('signatures/birch.json', moved.get('signatures/alder.json')!);
    expect(messages(moved)).toEqual(['the file carries another site’s name']);
    const stranger = bundleFiles();
    stranger.set(
      'signatures/yew.json',
      Buffer.from(Buffer.from(stranger.get('signatures/alder.json')!).toString().replace('alder', 'yew')),
    );
    expect(messages(stranger)).toEqual(['the site is not in the roster']);
    expect(messages(bundleFiles().set('signatures/x.json', Buffer.from('{}')))).toEqual(['the file is no signature']);
  });

  it('revoked sites, another study, another roster, another transcript', () => {
    expect(messages(bundleFiles({ revoked: ['birch'] }))).toEqual(['the site is revoked in the roster']);
    const changed = (change: object) =>
      bundleFiles({ change: (own) => (own.site === 'alder' ? { ...own, ...change } : own) });
    expect(messages(changed({ studyHash: 'cd'.repeat(32) }))).toEqual(['the site signed another study']);
    expect(messages(changed({ rosterVersion: 2 }))).toEqual(['the site signed under another roster']);
    expect(messages(changed({ transcriptHead: 'ef'.repeat(32) }))).toEqual([
      'the sites signed different transcripts of the study',
    ]);
  });

  it('a roster that the consortium did not sign', () => {
    const other = Uint8Array.from(consortiumPublicKey).fill(7);
    const { problems } = verifyBundle(bundleFiles(), { consortiumPublicKey: other });
    expect(problems.map(({ message }) => message)).toEqual(['the roster is not signed by the consortium key given']);
  });

  it('no bundle at all', () => {
    expect(messages(new Map())).toEqual(['bundle.json is not JSON']);
    expect(() => parseBundle(Buffer.from('{"format": 1}'))).toThrow(
      expect.objectContaining({ code: 'BUNDLE_UNREADABLE' }),
    );
  });
});

describe('the model card', () => {
  const card = Buffer.from(bundleFiles().get('card.md')!).toString();
  it.each([
    'Simulated data',
    'Not externally validated',
    'ComBat, preserving the effects of sex, age',
    '| without-alder | procedure | alder | suppressed | 0.812 (0.750 to 0.870) | 0.170 | – |',
    '| birch | training | 90 | suppressed |',
    'A probability of 0.420 or more is called positive',
  ])('says: %s', (sentence) => {
    expect(card).toContain(sentence);
  });
});
