import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { ed25519PublicKey } from '../../shared/ed25519.js';
import { ConcordatError } from '../../shared/errors.js';
import { fromHex, toHex } from '../../shared/hex.js';
import { readKeyFile, replacePrivate } from '../../shared/key-folder.js';
import { isSealed, type KeyProvider, makeVault, openVault, parseVault, seal, unseal } from '../../shared/key-vault.js';
import { Secret } from '../../shared/secret.js';
import { type ApproverKey, approverName } from '../approvers.js';

/**
 * An approver's private key: one file that the person keeps, not in the site's folder. `seed` is 32 bytes in hexadecimal, or
 * sealed by what `vault` holds.
 */
const fileSchema = z.strictObject({
  concordatApprover: z.literal(1),
  name: approverName,
  publicKey: z.string().regex(/^[0-9a-f]{64}$/),
  seed: z.string(),
  vault: z.unknown().optional(),
});

const SEALED_NAME = 'approver';
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/** Makes the key, sealed where a provider is given; its public half, hexadecimal. Throws ENROLL_KEYS_EXIST, STORE_UNWRITABLE. */
export function makeApproverKey(file: string, name: string, provider: KeyProvider | null): string {
  const checked = approverName.safeParse(name);
  if (!checked.success)
    throw new ConcordatError('CLI_USAGE', 'the name must have 1 to 80 characters that can be shown');
  if (existsSync(file)) throw new ConcordatError('ENROLL_KEYS_EXIST', `${file} exists already`);
  const seed = new Secret(random(32));
  const publicKey = toHex(ed25519PublicKey(seed));
  const content = { concordatApprover: 1, name: checked.data, publicKey };
  let secret: Record<string, unknown> = { seed: toHex(seed.reveal()) };
  if (provider !== null) {
    const key = new Secret(random(32));
    secret = {
      seed: seal(key, SEALED_NAME, seed.reveal(), random(12)).trim(),
      vault: makeVault(key, provider, random),
    };
  }
  replacePrivate(file, `${JSON.stringify({ ...content, ...secret }, null, 2)}\n`);
  return publicKey;
}

/**
 * Throws CLI_FILE_MISSING, STORE_KEYS_EXPOSED where others may read the file, STORE_KEYS_WRONG for a wrong passphrase,
 * STORE_DAMAGED for what is no approver's key. `provider` is asked only where the key is sealed.
 */
export async function readApproverKey(file: string, provider: () => Promise<KeyProvider>): Promise<ApproverKey> {
  const content = fileSchema.safeParse(jsonOf(readKeyFile(file)));
  if (!content.success) throw damaged(file);
  const { name, publicKey, seed: stored, vault } = content.data;
  let bytes = fromHex(stored, 32);
  if (isSealed(stored)) {
    const { current } = openVault(parseVault(JSON.stringify(vault ?? null), file), await provider(), file);
    bytes = unseal(current, SEALED_NAME, stored);
  }
  if (bytes === null || bytes.length !== 32) throw damaged(file);
  const seed = new Secret(bytes);
  if (toHex(ed25519PublicKey(seed)) !== publicKey) throw damaged(file);
  return { name, seed };
}

function jsonOf(secret: Secret): unknown {
  try {
    return JSON.parse(Buffer.from(secret.reveal()).toString('utf8'));
  } catch {
    return null;
  }
}

function damaged(file: string): ConcordatError {
  return new ConcordatError('STORE_DAMAGED', `${file} is no approver's key`);
}
