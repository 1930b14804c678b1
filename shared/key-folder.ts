import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { isTemporaryOf, writeReplacing } from './durable-files.js';
import { ConcordatError } from './errors.js';
import {
  type FolderKeys,
  isSealed,
  type KeyProvider,
  keyFileProvider,
  makeVault,
  openVault,
  parseVault,
  passphraseProvider,
  seal,
  unseal,
  type Vault,
  withEither,
  withoutPrevious,
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
const opened = new Map<string, { readonly vault: string; readonly keys: FolderKeys }>();
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

/** Whether the folder's key was being replaced when the process that did so ended. */
export function isHalfRotated(folder: string): boolean {
  const file = path.join(folder, VAULT_FILE);
  return existsSync(file) && parseVault(readFileSync(file, 'utf8'), file).format === 2;
}

/** The folder's keys, or null where it is not protected. Throws STORE_KEYS_LOCKED, STORE_KEYS_WRONG. */
export function folderKeys(folder: string): FolderKeys | null {
  const file = path.join(folder, VAULT_FILE);
  if (!existsSync(file)) return null;
  const text = readFileSync(file, 'utf8');
  const known = opened.get(path.resolve(folder));
  if (known?.vault === text) return known.keys;
  const vault = parseVault(text, file);
  const provider = typed?.kind === vault.kind ? typed : providerFromEnvironment(vault.kind);
  if (provider === null)
    throw new ConcordatError(
      'STORE_KEYS_LOCKED',
      `the keys in ${folder} are protected by a ${vault.kind}, and none was given`,
    );
  const keys = openVault(vault, provider, file);
  opened.set(path.resolve(folder), { vault: text, keys });
  return keys;
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
  const keys = folderKeys(path.dirname(file));
  if (keys === null)
    throw new ConcordatError('STORE_DAMAGED', `${file} is sealed, and ${VAULT_FILE} beside it is gone`);
  return withEither(keys, (key) => Buffer.from(unseal(key, path.basename(file), text)).toString('utf8'));
}

/** What to write for a private file of this folder: sealed where the folder is protected. */
export function privateText(file: string, text: string): string {
  const keys = folderKeys(path.dirname(file));
  return keys === null ? text : seal(keys.current, path.basename(file), Buffer.from(text, 'utf8'), random(12));
}

/** How a rotation writes and what else it seals anew; tests put a kill in the place of each. */
export interface Sealing {
  /** What is sealed by the folder's key elsewhere: a site's secrets in `erasable.db`. */
  readonly others?: () => void;
  readonly write?: (file: string, content: string) => void;
}

/**
 * Protects the folder, or protects it otherwise: makes a new folder key, and seals every file of `names`, and whatever else
 * was sealed, by it. The vault is replaced once with the new key, in which the old one is sealed, and once more without the
 * old one when nothing needs it. So a kill before the first replacement leaves the folder as it was, one after it leaves a
 * folder that opens as it shall in future; running it again ends it. Copies made before open as they did.
 * Throws like `folderKeys`; STORE_DAMAGED, before anything is changed, for a sealed file that does not open.
 */
export function protectFolder(
  folder: string,
  names: readonly string[],
  provider: KeyProvider,
  { others = () => {}, write = replacePrivate }: Sealing = {},
): void {
  const before = folderKeys(folder);
  // A rotation that was cut short: its old key goes before another one takes its place.
  if (before !== null && before.previous !== null) sealAll(folder, names, others, write);
  for (const file of privateFiles(folder, names)) readPrivateText(file);
  const current = new Secret(random(32));
  replaceVault(folder, makeVault(current, provider, random, before?.current ?? null), current, before?.current, write);
  sealAll(folder, names, others, write);
}

/** Everything sealed by the current key alone, and the key that it replaces gone from the vault. */
function sealAll(folder: string, names: readonly string[], others: () => void, write: typeof replacePrivate): void {
  const keys = folderKeys(folder)!;
  const files = privateFiles(folder, names);
  for (const file of files) write(file, privateText(file, readPrivateText(file)));
  // A kill while one of them was written leaves its draft: in the clear, or sealed by the key that goes.
  for (const name of readdirSync(folder))
    if ([...names, VAULT_FILE, ...files.map((file) => path.basename(file))].some((file) => isTemporaryOf(name, file)))
      rmSync(path.join(folder, name), { force: true });
  others();
  if (keys.previous === null) return;
  const file = path.join(folder, VAULT_FILE);
  const vault = parseVault(readFileSync(file, 'utf8'), file);
  replaceVault(folder, withoutPrevious(vault), keys.current, null, write);
}

function replaceVault(
  folder: string,
  content: Vault,
  current: Secret,
  previous: Secret | null | undefined,
  write: typeof replacePrivate,
): void {
  const vault = `${JSON.stringify(content, null, 2)}\n`;
  write(path.join(folder, VAULT_FILE), vault);
  opened.set(path.resolve(folder), { vault, keys: { current, previous: previous ?? null } });
}

/** The files of `names` that are there, and all others that are sealed: with the old key gone nothing would open them. */
function privateFiles(folder: string, names: readonly string[]): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== VAULT_FILE && !entry.name.startsWith('.'))
    .map(({ name }) => ({ name, file: path.join(folder, name) }))
    .filter(({ name, file }) => names.includes(name) || isSealed(beginningOf(file)))
    .map(({ file }) => file);
}

/** Enough of a file to see whether it is sealed: strangers' files in the folder may be large, or no text. */
function beginningOf(file: string): string {
  const handle = openSync(file, 'r');
  try {
    const bytes = new Uint8Array(64);
    return Buffer.from(bytes.subarray(0, readSync(handle, bytes))).toString('latin1');
  } finally {
    closeSync(handle);
  }
}

/** Takes the protection away. Throws like `folderKeys`; a folder without protection is left as it is. */
export function unprotectFolder(folder: string, names: readonly string[]): void {
  if (folderKeys(folder) === null) return;
  for (const file of privateFiles(folder, names)) replacePrivate(file, readPrivateText(file));
  rmSync(path.join(folder, VAULT_FILE));
  opened.delete(path.resolve(folder));
}

/** Old or new after a crash, never half; for the owner only; durable when it returns. Throws STORE_UNWRITABLE. */
export function replacePrivate(file: string, content: string): void {
  writeReplacing(file, content, 0o600);
}
