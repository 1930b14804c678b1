import { createCipheriv, createDecipheriv, hkdfSync, scryptSync } from 'node:crypto';
import { z } from 'zod';
import { ConcordatError } from './errors.js';
import { Secret } from './secret.js';

/**
 * Private keys at rest. Every private file of a folder is sealed under one *folder key* (AES-256-GCM, the file's name
 * authenticated); the folder key itself lies in `vault.json`, wrapped by a *key provider*: a passphrase or a key file here,
 * a hardware module behind PKCS#11 or a hospital's key service where somebody implements `KeyProvider` for it. Changing the
 * passphrase changes the folder key too, so that an old copy of `vault.json` opens nothing that was sealed since.
 */
export interface KeyProvider {
  /** Name in vault.json; a vault is only given to the provider of its kind. */
  readonly kind: string;
  wrap(folderKey: Secret, random: (length: number) => Uint8Array): Readonly<Record<string, unknown>>;
  /** Null where this provider's secret is not the one that wrapped. */
  unwrap(record: Readonly<Record<string, unknown>>): Secret | null;
}

/** A vault of the second format holds a folder key that is being replaced as well; earlier programs know the first alone. */
const VAULT_FORMAT = 2;
const common = { kind: z.string().min(1), wrapped: z.record(z.string(), z.unknown()) };
const vaultSchema = z.union([
  z.strictObject({ format: z.literal(1), ...common }),
  z.strictObject({ format: z.literal(VAULT_FORMAT), ...common, previous: z.string().min(1) }),
]);
export type Vault = z.output<typeof vaultSchema>;

/** `previous`: while files are sealed anew, those that are not yet; null where there are none. */
export interface FolderKeys {
  readonly current: Secret;
  readonly previous: Secret | null;
}

const PREVIOUS = 'previous folder key';

export function makeVault(
  folderKey: Secret,
  provider: KeyProvider,
  random: (length: number) => Uint8Array,
  previous: Secret | null = null,
): Vault {
  const { kind } = provider;
  const wrapped = provider.wrap(folderKey, random);
  if (previous === null) return { format: 1, kind, wrapped };
  const inside = base64(sealBytes(folderKey, PREVIOUS, previous.reveal(), random(IV_BYTES)));
  return { format: VAULT_FORMAT, kind, wrapped, previous: inside };
}

/** The same vault with the key that was replaced left out, for when nothing is sealed by it any more. */
export function withoutPrevious({ kind, wrapped }: Vault): Vault {
  return { format: 1, kind, wrapped };
}

/** Throws STORE_DAMAGED for what is no vault, STORE_VERSION for one of a newer format. */
export function parseVault(text: string, file: string): Vault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ConcordatError('STORE_DAMAGED', `${file} is not what was written`);
  }
  const parsed = vaultSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === 'number' && format > VAULT_FORMAT)
    throw new ConcordatError('STORE_VERSION', `${file} has format ${format}, this program reads ${VAULT_FORMAT}`);
  throw new ConcordatError('STORE_DAMAGED', `${file} is not what was written`);
}

/** Throws STORE_KEYS_WRONG, STORE_DAMAGED where the replaced key in it was changed. */
export function openVault(vault: Vault, provider: KeyProvider, file: string): FolderKeys {
  const current = vault.kind === provider.kind ? provider.unwrap(vault.wrapped) : null;
  if (current === null)
    throw new ConcordatError('STORE_KEYS_WRONG', `the ${provider.kind} given does not open ${file}`);
  if (vault.format === 1) return { current, previous: null };
  return { current, previous: new Secret(unsealBytes(current, PREVIOUS, Buffer.from(vault.previous, 'base64'))) };
}

// Sealing --------------------------------------------------------------------------------------------------------------

const SEALED = 'concordat-sealed-1:';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export function isSealed(text: string): boolean {
  return text.startsWith(SEALED);
}

/** One line of text: the marker, then base64 of iv, tag and ciphertext. `iv` must be fresh random bytes. */
export function seal(key: Secret, name: string, plain: Uint8Array, iv: Uint8Array): string {
  return `${SEALED}${Buffer.from(sealBytes(key, name, plain, iv)).toString('base64')}\n`;
}

/** What `open` gives under the current key or, where that does not fit, under the one that it replaces. */
export function withEither<T>({ current, previous }: FolderKeys, open: (key: Secret) => T): T {
  if (previous === null) return open(current);
  try {
    return open(current);
  } catch (error) {
    if (!(error instanceof ConcordatError)) throw error;
    return open(previous);
  }
}

/** Throws STORE_DAMAGED where the text was changed, is of another name or of another folder's key. */
export function unseal(key: Secret, name: string, text: string): Uint8Array {
  return unsealBytes(key, name, Buffer.from(text.slice(SEALED.length).trim(), 'base64'));
}

export function sealBytes(key: Secret, name: string, plain: Uint8Array, iv: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key.reveal(), iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(name, 'utf8'));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return new Uint8Array(Buffer.concat([iv, cipher.getAuthTag(), sealed]));
}

export function unsealBytes(key: Secret, name: string, bytes: Uint8Array): Uint8Array {
  try {
    const iv = bytes.subarray(0, IV_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key.reveal(), iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(name, 'utf8'));
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    return new Uint8Array(Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]));
  } catch (error) {
    throw new ConcordatError('STORE_DAMAGED', `the sealed ${name} is not what was written`, { cause: error });
  }
}

// Providers ------------------------------------------------------------------------------------------------------------

/** scrypt (RFC 7914) at 128 MiB: about half a second for each guess. */
const SCRYPT = { N: 131_072, r: 8, p: 1 } as const;
const SCRYPT_MEMORY_BYTES_MAX = 512 * 1024 * 1024;
const passphraseRecord = z.strictObject({
  kdf: z.literal('scrypt'),
  N: z.number().int().min(1024).max(1_048_576),
  r: z.number().int().min(1).max(32),
  p: z.number().int().min(1).max(16),
  salt: z.string(),
  key: z.string(),
});

export function passphraseProvider(passphrase: string, cost: { readonly N: number } = SCRYPT): KeyProvider {
  const derive = (salt: Uint8Array, { N, r, p }: { N: number; r: number; p: number }) =>
    new Secret(scryptSync(passphrase.normalize('NFKC'), salt, 32, { N, r, p, maxmem: SCRYPT_MEMORY_BYTES_MAX }));
  return {
    kind: 'passphrase',
    wrap(folderKey, random) {
      const salt = random(16);
      const parameters = { ...SCRYPT, N: cost.N };
      const key = sealBytes(derive(salt, parameters), 'folder key', folderKey.reveal(), random(IV_BYTES));
      return { kdf: 'scrypt', ...parameters, salt: base64(salt), key: base64(key) };
    },
    unwrap(record) {
      const parsed = passphraseRecord.safeParse(record);
      if (!parsed.success) return null;
      const { salt, key, ...parameters } = parsed.data;
      let wrappingKey: Secret;
      try {
        wrappingKey = derive(Buffer.from(salt, 'base64'), parameters);
      } catch {
        // Costs that scrypt does not take, or that no memory is enough for: no vault that was made here.
        return null;
      }
      return unwrapWith(wrappingKey, key);
    },
  };
}

const keyFileRecord = z.strictObject({ salt: z.string(), key: z.string() });

/** `secret`: what the key file holds, 32 bytes at least. */
export function keyFileProvider(secret: Secret): KeyProvider {
  const derive = (salt: Uint8Array) =>
    new Secret(new Uint8Array(hkdfSync('sha256', secret.reveal(), salt, 'concordat key file', 32)));
  return {
    kind: 'key file',
    wrap(folderKey, random) {
      const salt = random(32);
      const key = sealBytes(derive(salt), 'folder key', folderKey.reveal(), random(IV_BYTES));
      return { salt: base64(salt), key: base64(key) };
    },
    unwrap(record) {
      const parsed = keyFileRecord.safeParse(record);
      return parsed.success ? unwrapWith(derive(Buffer.from(parsed.data.salt, 'base64')), parsed.data.key) : null;
    },
  };
}

function unwrapWith(wrappingKey: Secret, key: string): Secret | null {
  try {
    return new Secret(unsealBytes(wrappingKey, 'folder key', Buffer.from(key, 'base64')));
  } catch (error) {
    if (error instanceof ConcordatError) return null;
    throw error;
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
