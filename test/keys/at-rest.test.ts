import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initConsortium } from '../../cli/consortium-keys.js';
import { programFile } from '../../cli/demo/processes.js';
import { initCoordinator } from '../../coordinator/enrollment.js';
import { serverIdentity, signAsAuthority } from '../../coordinator/tls.js';
import {
  folderKeys,
  protectFolder,
  protectionOf,
  readPrivateText,
  unlockWith,
  unprotectFolder,
} from '../../shared/key-folder.js';
import {
  isSealed,
  type KeyProvider,
  keyFileProvider,
  makeVault,
  openVault,
  parseVault,
  passphraseProvider,
  seal,
  unseal,
} from '../../shared/key-vault.js';
import { seededRandom } from '../../shared/rng.js';
import { Secret } from '../../shared/secret.js';
import { initSite, readSiteKeys } from '../../site-agent/keys.js';
import { openSiteStore, rewriteSecrets } from '../../site-agent/store.js';

/** Cheap on purpose: what is tried here is not how slow scrypt is. */
const COST = { N: 1024 };
const draw = seededRandom('keys at rest');
const random = (length: number) => Uint8Array.from({ length }, () => Math.floor(256 * draw.uniform()));
const code = (expected: string) => expect.objectContaining({ code: expected });

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'concordat-keys-'));
});
afterEach(() => {
  unlockWith(null);
  rmSync(root, { recursive: true, force: true });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

describe('a sealed file', () => {
  const key = new Secret(random(32));
  const plain = Buffer.from('a private key');

  it('opens under its own name and key only', () => {
    const text = seal(key, 'signing.key', plain, random(12));
    expect(isSealed(text)).toBe(true);
    expect(Buffer.from(unseal(key, 'signing.key', text))).toEqual(plain);
    expect(() => unseal(key, 'tls.key', text)).toThrow(code('STORE_DAMAGED'));
    expect(() => unseal(new Secret(random(32)), 'signing.key', text)).toThrow(code('STORE_DAMAGED'));
  });

  it('does not open when any one bit of it is changed', () => {
    const text = seal(key, 'k', plain, random(12));
    const bytes = Buffer.from(text.slice(text.indexOf(':') + 1), 'base64');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => unseal(key, 'k', `concordat-sealed-1:${changed.toString('base64')}`)).toThrow(code('STORE_DAMAGED'));
    }
  });
});

describe('a vault', () => {
  const key = new Secret(random(32));

  it.each([
    ['passphrase', passphraseProvider('correct horse', COST), passphraseProvider('correct house', COST)],
    ['key file', keyFileProvider(new Secret(random(32))), keyFileProvider(new Secret(random(32)))],
  ])('opens by the %s that made it and by no other', (kind, right, wrong) => {
    const vault = parseVault(JSON.stringify(makeVault(key, right, random)), 'vault.json');
    expect(vault.kind).toBe(kind);
    expect(JSON.stringify(vault)).not.toContain(Buffer.from(key.reveal()).toString('base64'));
    expect(openVault(vault, right, 'vault.json').current.equals(key)).toBe(true);
    expect(() => openVault(vault, wrong, 'vault.json')).toThrow(code('STORE_KEYS_WRONG'));
    const other = kind === 'passphrase' ? keyFileProvider(new Secret(random(32))) : passphraseProvider('x', COST);
    expect(() => openVault(vault, other, 'vault.json')).toThrow(code('STORE_KEYS_WRONG'));
  });

  it('takes a passphrase however it was typed: composed and decomposed letters are one', () => {
    const vault = makeVault(key, passphraseProvider('Grüße', COST), random);
    expect(openVault(vault, passphraseProvider('Gru\u0308ße', COST), 'v').current.equals(key)).toBe(true);
  });

  it('can be opened by a device that keeps its key to itself: the seam for PKCS#11', () => {
    // Stands in for C_WrapKey and C_UnwrapKey of a token: the wrapping key never leaves this closure.
    const inside = keyFileProvider(new Secret(random(32)));
    const device: KeyProvider = { kind: 'pkcs11', wrap: inside.wrap, unwrap: inside.unwrap };
    const folder = path.join(root, 'token');
    protectFolder(folder, [], device);
    expect(protectionOf(folder)).toBe('pkcs11');
    unlockWith(null);
    expect(() => folderKeys(folder)).toThrow(code('STORE_KEYS_LOCKED'));
    unlockWith(device);
    expect(folderKeys(folder)?.current.length).toBe(32);
  });

  it('of a newer format is refused as such, and rubbish as damaged', () => {
    expect(() => parseVault('{"format":3,"kind":"x","wrapped":{}}', 'v')).toThrow(code('STORE_VERSION'));
    for (const text of ['', '[]', '{"format":1}', 'null', '{"format":2,"kind":"x","wrapped":{}}'])
      expect(() => parseVault(text, 'v')).toThrow(code('STORE_DAMAGED'));
  });

  it('with absurd scrypt costs is refused before any work', () => {
    const vault = makeVault(key, passphraseProvider('x', COST), random);
    for (const costs of [{ N: 2 ** 40 }, { N: 1025 }, { N: 2 ** 20, r: 32 }]) {
      const absurd = { ...vault, wrapped: { ...vault.wrapped, ...costs } };
      expect(() => openVault(absurd, passphraseProvider('x', COST), 'v')).toThrow(code('STORE_KEYS_WRONG'));
    }
  });
});

describe('a site’s folder', () => {
  const names = ['signing.key', 'tls.key'];
  const provider = passphraseProvider('first', COST);

  async function site(): Promise<{ folder: string; keys: string; seed: string }> {
    const folder = path.join(root, 'site');
    await initSite(folder, 'alder');
    const keys = path.join(folder, 'keys');
    return { folder, keys, seed: readFileSync(path.join(keys, 'signing.key'), 'utf8').trim() };
  }

  it('holds no private key in the clear once it is protected, nor a secret of a study', async () => {
    const { folder, keys, seed } = await site();
    const secret = new Secret(random(32));
    const early = openSiteStore(folder);
    early.putSecret('study', 'before', secret);
    early.close();
    const before = readSiteKeys(folder);
    // As a process that was killed while it wrote the key leaves it.
    writeFileSync(path.join(keys, '.signing.key.4711.2'), seed);
    protectFolder(keys, names, provider);
    rewriteSecrets(folder, 'protected');
    const store = openSiteStore(folder);
    store.putSecret('study', 'after', secret);
    expect(store.getSecret('study', 'before').equals(secret)).toBe(true);
    expect(store.getSecret('study', 'after').equals(secret)).toBe(true);
    store.close();
    expect(readSiteKeys(folder)).toEqual(before);
    const wanted = [
      Buffer.from(seed),
      Buffer.from(seed, 'hex'),
      Buffer.from('PRIVATE KEY'),
      Buffer.from(secret.reveal()),
    ];
    for (const file of filesBelow(folder))
      for (const [at, bytes] of wanted.entries())
        expect([file, at, readFileSync(file).includes(bytes)]).toEqual([file, at, false]);
    // The search finds what it looks for where nothing is protected.
    rewriteSecrets(folder, 'plain');
    unprotectFolder(keys, names);
    const found = wanted.map((bytes) => filesBelow(folder).some((file) => readFileSync(file).includes(bytes)));
    expect(found).toEqual([true, false, true, true]);
    expect(readSiteKeys(folder)).toEqual(before);
  });

  it('is locked without what opens it, and says so', async () => {
    const { folder, keys } = await site();
    protectFolder(keys, names, provider);
    unlockWith(null);
    expect(() => readSiteKeys(folder)).toThrow(code('STORE_KEYS_LOCKED'));
    expect(() => openSiteStore(folder)).toThrow(code('STORE_KEYS_LOCKED'));
    unlockWith(passphraseProvider('guess', COST));
    expect(() => readSiteKeys(folder)).toThrow(code('STORE_KEYS_WRONG'));
    unlockWith(provider);
    expect(readSiteKeys(folder).site).toBe('alder');
  });

  it('stays readable when protecting it was cut short, and protecting it again ends the work', async () => {
    const { folder, keys } = await site();
    const before = readSiteKeys(folder);
    // A kill after the vault and the first file.
    protectFolder(keys, names.slice(0, 1), provider);
    expect(isSealed(readFileSync(path.join(keys, 'tls.key'), 'utf8'))).toBe(false);
    expect(readSiteKeys(folder)).toEqual(before);
    protectFolder(keys, names, provider);
    expect(names.map((name) => isSealed(readFileSync(path.join(keys, name), 'utf8')))).toEqual([true, true]);
    expect(readSiteKeys(folder)).toEqual(before);
  });

  it('whose vault is gone is damaged, not empty', async () => {
    const { folder, keys } = await site();
    protectFolder(keys, names, provider);
    rmSync(path.join(keys, 'vault.json'));
    expect(() => readSiteKeys(folder)).toThrow(code('STORE_DAMAGED'));
  });
});

describe('a coordinator’s folder', () => {
  it('goes on signing and serving when protected', async () => {
    const folder = path.join(root, 'co');
    await initCoordinator(folder, initConsortium(path.join(root, 'key')));
    const tls = path.join(folder, 'tls');
    protectFolder(tls, ['authority.key', 'server.key'], keyFileProvider(new Secret(random(32))));
    // The server's key is made at the first start, and is sealed from the beginning.
    const identity = await serverIdentity(folder, Date.now());
    expect(identity.privateKeyPem).toContain('PRIVATE KEY');
    expect(isSealed(readFileSync(path.join(tls, 'server.key'), 'utf8'))).toBe(true);
    expect(signAsAuthority(folder, random(8)).length).toBeGreaterThan(60);
    unlockWith(null);
    await expect(serverIdentity(folder, Date.now())).rejects.toThrow(code('STORE_KEYS_LOCKED'));
  });
});

describe('the commands', () => {
  const run = (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const { status, stdout } = spawnSync(process.execPath, [programFile(), '--json', ...args], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    });
    return { status, answer: JSON.parse(stdout) as Record<string, unknown> };
  };

  it('protect, refuse, open and unprotect a site', () => {
    const folder = path.join(root, 'site');
    const key = path.join(root, 'hospital.key');
    execFileSync(process.execPath, [programFile(), 'site', 'init', 'alder', '--dir', folder]);
    writeFileSync(key, random(48), { mode: 0o600 });
    expect(run(['keys', 'protect', '--dir', folder, '--key-file', key]).status).toBe(0);
    expect(run(['keys', 'status', '--dir', folder]).answer).toMatchObject({ protection: 'key file' });
    const locked = run(['site', 'status', '--dir', folder]);
    expect(locked).toMatchObject({ status: 3, answer: { error: { code: 'STORE_KEYS_LOCKED' } } });
    expect(run(['site', 'status', '--dir', folder], { CONCORDAT_KEY_FILE: key })).toMatchObject({
      status: 0,
      answer: { site: 'alder' },
    });
    chmodSync(key, 0o644);
    expect(run(['site', 'status', '--dir', folder], { CONCORDAT_KEY_FILE: key }).answer).toMatchObject({
      error: { code: 'STORE_KEYS_EXPOSED' },
    });
    chmodSync(key, 0o600);
    // Another key file: the old one opens it once more, for the last time.
    const next = path.join(root, 'next.key');
    writeFileSync(next, random(48), { mode: 0o600 });
    const rotate = ['keys', 'protect', '--dir', folder, '--key-file', next];
    expect(run(rotate).answer).toMatchObject({ error: { code: 'STORE_KEYS_LOCKED' } });
    expect(run(rotate, { CONCORDAT_KEY_FILE: key }).status).toBe(0);
    expect(run(['keys', 'status', '--dir', folder]).answer).toMatchObject({ halfRotated: false });
    expect(run(['site', 'status', '--dir', folder], { CONCORDAT_KEY_FILE: key }).answer).toMatchObject({
      error: { code: 'STORE_KEYS_WRONG' },
    });
    expect(run(['keys', 'unprotect', '--dir', folder], { CONCORDAT_KEY_FILE: next }).status).toBe(0);
    expect(run(['site', 'status', '--dir', folder]).status).toBe(0);
    expect(readPrivateText(path.join(folder, 'keys', 'signing.key'))).toMatch(/^[0-9a-f]{64}\n$/);
  });
});
