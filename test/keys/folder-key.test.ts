import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  folderKeys,
  isHalfRotated,
  protectFolder,
  readPrivateText,
  replacePrivate,
  type Sealing,
  unlockWith,
  unprotectFolder,
} from '../../shared/key-folder.js';
import { isSealed, type KeyProvider, passphraseProvider, unseal } from '../../shared/key-vault.js';
import { seededRandom } from '../../shared/rng.js';
import { Secret } from '../../shared/secret.js';
import { initSite, readSiteKeys } from '../../site-agent/keys.js';
import { openSiteStore, rewriteSecrets } from '../../site-agent/store.js';

/** The folder key is replaced when what opens it is changed, whatever kills the process that does it. */
const COST = { N: 1024 };
const NAMES = ['signing.key', 'tls.key'];
const first = passphraseProvider('first', COST);
const second = passphraseProvider('second', COST);
const third = passphraseProvider('third', COST);
const code = (expected: string) => expect.objectContaining({ code: expected });
const draw = seededRandom('folder key');
const secret = new Secret(Uint8Array.from({ length: 32 }, () => Math.floor(256 * draw.uniform())));

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'concordat-folder-key-'));
});
afterEach(() => {
  unlockWith(null);
  rmSync(root, { recursive: true, force: true });
});

interface Place {
  readonly folder: string;
  readonly keys: string;
  readonly whole: unknown;
}

/** A protected site with a secret of a study. `unlisted.key` is sealed, and named by nobody. */
async function protectedSite(name: string): Promise<Place> {
  const folder = path.join(root, name);
  const keys = path.join(folder, 'keys');
  await initSite(folder, 'alder');
  writeFileSync(path.join(keys, 'unlisted.key'), 'a later program’s\n');
  const store = openSiteStore(folder);
  store.putSecret('study', 'box', secret);
  store.close();
  protectFolder(keys, [...NAMES, 'unlisted.key'], first, { others: () => rewriteSecrets(folder, 'protected') });
  return { folder, keys, whole: content(folder) };
}

/** Everything that the folder's key seals, opened. */
function content(folder: string): unknown {
  const store = openSiteStore(folder);
  try {
    return [
      readSiteKeys(folder),
      readPrivateText(path.join(folder, 'keys', 'unlisted.key')),
      Buffer.from(store.getSecret('study', 'box').reveal()).toString('hex'),
    ];
  } finally {
    store.close();
  }
}

function opensBy(folder: string, provider: KeyProvider): unknown {
  unlockWith(provider);
  try {
    return content(folder);
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

class Killed extends Error {}

/** Counts each durable write, and kills at one of them: in it, with half a draft on disk, or after it. */
function killedAt(folder: string, at: number, how: 'draft' | 'after'): Required<Sealing> {
  let step = 0;
  const around = (draft: string, act: () => void) => {
    const dies = step++ === at;
    if (dies && how === 'draft') writeFileSync(draft, 'half');
    if (dies && how === 'draft') throw new Killed();
    act();
    if (dies) throw new Killed();
  };
  return {
    write: (file, text) =>
      around(path.join(path.dirname(file), `.${path.basename(file)}.4711.${at}`), () => replacePrivate(file, text)),
    others: () =>
      around(path.join(folder, 'keys', `.vault.json.4711.${at}`), () => rewriteSecrets(folder, 'protected')),
  };
}

describe('a changed passphrase', () => {
  it('changes the key: an old copy of the vault and the old passphrase open nothing that is sealed since', async () => {
    const { folder, keys, whole } = await protectedSite('site');
    const old = folderKeys(keys)!.current;
    copyFileSync(path.join(keys, 'vault.json'), path.join(root, 'vault.json'));
    unlockWith(first);
    protectFolder(keys, NAMES, second, { others: () => rewriteSecrets(folder, 'protected') });
    expect(opensBy(folder, first)).toBe('STORE_KEYS_WRONG');
    expect(opensBy(folder, second)).toEqual(whole);
    expect(isHalfRotated(keys)).toBe(false);

    copyFileSync(path.join(root, 'vault.json'), path.join(keys, 'vault.json'));
    unlockWith(first);
    expect(folderKeys(keys)!.current.equals(old)).toBe(true);
    for (const name of [...NAMES, 'unlisted.key']) {
      const file = path.join(keys, name);
      expect(() => readPrivateText(file)).toThrow(code('STORE_DAMAGED'));
      expect(() => unseal(old, name, readFileSync(file, 'utf8'))).toThrow(code('STORE_DAMAGED'));
    }
    const store = openSiteStore(folder);
    expect(() => store.getSecret('study', 'box')).toThrow(code('STORE_DAMAGED'));
    store.close();
  });

  it('killed at any step leaves a folder that opens by the old or by the new one, and ends when it is run again', async () => {
    const opened = new Set<string>();
    let steps = 0;
    for (const how of ['draft', 'after'] as const) {
      for (let at = 0; ; at++) {
        const { folder, keys, whole } = await protectedSite(`${how}-${at}`);
        const old = folderKeys(keys)!.current;
        unlockWith(first);
        let killed = false;
        try {
          protectFolder(keys, NAMES, second, killedAt(folder, at, how));
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          killed = true;
        }
        const [byFirst, bySecond] = [opensBy(folder, first), opensBy(folder, second)];
        expect([byFirst, bySecond]).toContainEqual(whole);
        expect([byFirst, bySecond]).toContain('STORE_KEYS_WRONG');
        const now = bySecond === 'STORE_KEYS_WRONG' ? first : second;
        opened.add(now === first ? 'first' : isHalfRotated(keys) ? 'second, half' : 'second');

        // The same again, by whoever finds the folder so, with one kill more in the middle of it.
        if (killed) {
          unlockWith(now);
          expect(() => protectFolder(keys, NAMES, third, killedAt(folder, 2, 'after'))).toThrow(Killed);
          const again = opensBy(folder, third) === 'STORE_KEYS_WRONG' ? now : third;
          expect(opensBy(folder, again)).toEqual(whole);
          unlockWith(again);
          protectFolder(keys, NAMES, third, { others: () => rewriteSecrets(folder, 'protected') });
          expect(opensBy(folder, third)).toEqual(whole);
          expect(isHalfRotated(keys)).toBe(false);
          expect(readdirSync(keys).filter((name) => name.startsWith('.'))).toEqual([]);
          for (const name of NAMES)
            expect(() => unseal(old, name, readFileSync(path.join(keys, name), 'utf8'))).toThrow(code('STORE_DAMAGED'));
        }
        steps = Math.max(steps, at);
        if (!killed) break;
      }
    }
    // The vault, three files, the secrets, the vault.
    expect(steps).toBe(6);
    expect([...opened].sort()).toEqual(['first', 'second', 'second, half']);
  });

  it('half done can be taken away altogether', async () => {
    const { folder, keys, whole } = await protectedSite('site');
    unlockWith(first);
    expect(() => protectFolder(keys, NAMES, second, killedAt(folder, 2, 'after'))).toThrow(Killed);
    unlockWith(second);
    rewriteSecrets(folder, 'plain');
    unprotectFolder(keys, NAMES);
    unlockWith(null);
    expect(content(folder)).toEqual(whole);
    expect(isSealed(readFileSync(path.join(keys, 'unlisted.key'), 'utf8'))).toBe(false);
  });

  it('does not begin where a sealed file would be lost with the old key', async () => {
    const { keys } = await protectedSite('site');
    const vault = readFileSync(path.join(keys, 'vault.json'), 'utf8');
    const file = path.join(keys, 'tls.key');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/.{8}\n$/, 'AAAAAAA=\n'));
    unlockWith(first);
    expect(() => protectFolder(keys, NAMES, second)).toThrow(code('STORE_DAMAGED'));
    expect(readFileSync(path.join(keys, 'vault.json'), 'utf8')).toBe(vault);
  });
});
