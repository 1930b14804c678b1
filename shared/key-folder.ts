import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { isTemporaryOf, writeReplacing } from './durable-files.js';
import { ConcordatError } from './errors.js';
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
} from './key-vault.js';
import { Secret } from './secret.js';

/**
 * A folder of private files, sealed where it holds a `vault.json`. What opens the vault comes from the environment, so that
 * services start without a person: CONCORDAT_KEY_FILE or CONCORDAT_PASSPHRASE_FILE name a file; under systemd the
 * credentials `concordat-key` or `concordat-passphrase` do. A command with a person before it may call `unlockWith`.
 */
export const VAULT_FILE = 'vault.json';
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/** Folder keys that were opened, by folder and the vault they came from: scrypt is slow on purpose. */
const opened = new Map<string, { readonly vault: string; readonly key: Secret }>();
/** What a person typed, for every folder this process opens. */
let typed: KeyProvider | null = null;

export function unlockWith(provider: KeyProvider | null): void {
  typed = provider;
  opened.clear();
}

export function isProtected(folder: string): boolean {
  return existsSync(path.join(folder, VAULT_FILE));
}

/** How the folder is protected: `passphrase`, `key file`, or null. */
export function protectionOf(folder: string): string | null {
  const file = path.join(folder, VAULT_FILE);
  return existsSync(file) ? parseVault(readFileSync(file, 'utf8'), file).kind : null;
}

/** The folder's key, or null where it is not protected. Throws STORE_KEYS_LOCKED, STORE_KEYS_WRONG. */
export function folderKey(folder: string): Secret | null {
  const file = path.join(folder, VAULT_FILE);
  if (!existsSync(file)) return null;
  const text = readFileSync(file, 'utf8');
  const known = opened.get(path.resolve(folder));
  if (known?.vault === text) return known.key;
  const vault = parseVault(text, file);
  const provider = typed?.kind === vault.kind ? typed : providerFromEnvironment(vault.kind);
  if (provider === null)
    throw new ConcordatError(
      'STORE_KEYS_LOCKED',
      `the keys in ${folder} are protected by a ${vault.kind}, and none was given`,
    );
  const key = openVault(vault, provider, file);
  opened.set(path.resolve(folder), { vault: text, key });
  return key;
}

function providerFromEnvironment(kind: string): KeyProvider | null {
  if (kind === 'key file') {
    const file = secretFile('CONCORDAT_KEY_FILE', 'concordat-key');
    return file === null ? null : keyFileProvider(readKeyFile(file));
  }
  if (kind === 'passphrase') {
    const file = secretFile('CONCORDAT_PASSPHRASE_FILE', 'concordat-passphrase');
    return file === null ? null : passphraseProvider(readPassphrase(file));
  }
  return null;
}

function secretFile(variable: string, credential: string): string | null {
  const named = process.env[variable];
  if (named !== undefined && named !== '') return named;
  const credentials = process.env['CREDENTIALS_DIRECTORY'];
  const file = credentials === undefined ? null : path.join(credentials, credential);
  return file !== null && existsSync(file) ? file : null;
}

/** Throws STORE_KEYS_WRONG for a file too short to be a key, CLI_FILE_MISSING, STORE_KEYS_EXPOSED. */
export function readKeyFile(file: string): Secret {
  const bytes = readSecretFile(file);
  if (bytes.length < 32)
    throw new ConcordatError('STORE_KEYS_WRONG', `${file} is too short for a key: 32 bytes at least`);
  return new Secret(bytes);
}

/** The first line. Throws STORE_KEYS_WRONG where it is empty, CLI_FILE_MISSING, STORE_KEYS_EXPOSED. */
export function readPassphrase(file: string): string {
  const passphrase = Buffer.from(readSecretFile(file)).toString('utf8').split(/\r?\n/)[0]!;
  if (passphrase === '') throw new ConcordatError('STORE_KEYS_WRONG', `${file} holds no passphrase`);
  return passphrase;
}

function readSecretFile(file: string): Uint8Array {
  if (!existsSync(file)) throw new ConcordatError('CLI_FILE_MISSING', `${file} does not exist`);
  if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0)
    throw new ConcordatError('STORE_KEYS_EXPOSED', `others on this host may read ${file}`);
  return new Uint8Array(readFileSync(file));
}

/** The text of a private file, opened where it is sealed. */
export function readPrivateText(file: string): string {
  const text = readFileSync(file, 'utf8');
  if (!isSealed(text)) return text;
  const key = folderKey(path.dirname(file));
  if (key === null) throw new ConcordatError('STORE_DAMAGED', `${file} is sealed, and ${VAULT_FILE} beside it is gone`);
  return Buffer.from(unseal(key, path.basename(file), text)).toString('utf8');
}

/** What to write for a private file of this folder: sealed where the folder is protected. */
export function privateText(file: string, text: string): string {
  const key = folderKey(path.dirname(file));
  return key === null ? text : seal(key, path.basename(file), Buffer.from(text, 'utf8'), random(12));
}

/**
 * Protects the folder, or protects it otherwise: wraps the folder key by `provider`, and seals every file of `names` that is
 * not sealed yet. A kill in between leaves files of which some are sealed, all readable; running it again ends it.
 */
export function protectFolder(folder: string, names: readonly string[], provider: KeyProvider): void {
  const key = folderKey(folder) ?? new Secret(random(32));
  const vault = `${JSON.stringify(makeVault(key, provider, random), null, 2)}\n`;
  replacePrivate(path.join(folder, VAULT_FILE), vault);
  opened.set(path.resolve(folder), { vault, key });
  for (const name of names) {
    const file = path.join(folder, name);
    if (!existsSync(file)) continue;
    const text = readFileSync(file, 'utf8');
    if (!isSealed(text)) replacePrivate(file, privateText(file, text));
  }
  // A kill while one of them was written in the clear leaves its draft.
  for (const name of readdirSync(folder))
    if (names.some((original) => isTemporaryOf(name, original))) rmSync(path.join(folder, name), { force: true });
}

/** Takes the protection away. Throws like `folderKey`; a folder without protection is left as it is. */
export function unprotectFolder(folder: string, names: readonly string[]): void {
  if (folderKey(folder) === null) return;
  for (const name of names) {
    const file = path.join(folder, name);
    if (existsSync(file)) replacePrivate(file, readPrivateText(file));
  }
  rmSync(path.join(folder, VAULT_FILE));
  opened.delete(path.resolve(folder));
}

/** Old or new after a crash, never half; for the owner only; durable when it returns. Throws STORE_UNWRITABLE. */
export function replacePrivate(file: string, content: string): void {
  writeReplacing(file, content, 0o600);
}
