import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import {
  isHalfRotated,
  isProtected,
  protectFolder,
  protectionOf,
  readKeyFile,
  readPassphrase,
  unlockWith,
  unprotectFolder,
} from '../../shared/key-folder.js';
import { type KeyProvider, keyFileProvider, passphraseProvider } from '../../shared/key-vault.js';
import { output } from '../console.js';
import { lockFolder } from '../lock.js';

/** Where the private files of each kind of folder lie, and which they are. */
const KINDS = [
  {
    kind: 'site',
    marker: 'keys/site.json',
    keys: 'keys',
    files: ['signing.key', 'tls.key', 'tls.next.key', 'tls.previous.key', 'cases.key'],
  },
  { kind: 'coordinator', marker: 'tls/authority.key', keys: 'tls', files: ['authority.key', 'server.key'] },
  { kind: 'consortium', marker: 'consortium.key', keys: '.', files: ['consortium.key'] },
] as const;

interface ProtectOptions {
  readonly dir: string;
  readonly passphraseFile?: string;
  readonly keyFile?: string;
}

export function registerKeys(program: Command): void {
  const keys = program.command('keys').description('private keys at rest: of a site, a coordinator or a consortium');
  const out = (command: Command) => output(command.optsWithGlobals()['json'] === true);

  keys
    .command('status')
    .description('whether the private keys of a folder are protected, and by what')
    .requiredOption('--dir <folder>', 'folder of a site, a coordinator or a consortium')
    .action((options: { dir: string }, command: Command) => {
      const { kind, folder, files } = place(options.dir);
      const protection = protectionOf(folder);
      const text =
        protection === null ? 'not protected: readable by whoever can read the files' : `protected by a ${protection}`;
      const halfRotated = isHalfRotated(folder);
      const unfinished = halfRotated ? '\nA change of the key was cut short: run `concordat keys protect` again.' : '';
      out(command).result(`Keys of the ${kind} in ${folder}: ${text}${unfinished}`, {
        kind,
        folder,
        files,
        protection,
        halfRotated,
      });
    });

  keys
    .command('protect')
    .description('seal the private keys of a folder; on a protected one, change the key and what opens it')
    .requiredOption('--dir <folder>', 'folder of a site, a coordinator or a consortium')
    .option('--passphrase-file <file>', 'file whose first line is the passphrase (asked for where neither is given)')
    .option('--key-file <file>', 'file of at least 32 random bytes, kept apart from the folder')
    .addHelpText(
      'after',
      `
Afterwards a service finds what opens the keys in CONCORDAT_PASSPHRASE_FILE or CONCORDAT_KEY_FILE, or in the systemd
credentials concordat-passphrase or concordat-key. Nobody can open them without it: keep a copy where the hospital keeps such.
On a protected folder the old passphrase or key file is asked for, and everything is sealed by a new key: a copy of
vault.json and the old passphrase open nothing that is sealed from then on. Cut short, it opens with the old or with the
new one; run it again.`,
    )
    .action(async (options: ProtectOptions, command: Command) => {
      const { kind, folder, files } = place(options.dir);
      await unlockIfAsked(folder);
      const provider = await newProvider(options);
      const lock = lockFolder(options.dir);
      try {
        const others = kind === 'site' ? await siteSecretsRewriter(options.dir, 'protected') : () => {};
        protectFolder(folder, files, provider, { others });
      } finally {
        lock.release();
      }
      out(command).result(
        `Keys of the ${kind} are protected by a ${provider.kind}. Copies made before are not: delete old backups of ${folder}.`,
        { kind, folder, protection: provider.kind },
      );
    });

  keys
    .command('unprotect')
    .description('take the protection away; the files stay readable by their owner only')
    .requiredOption('--dir <folder>', 'folder of a site, a coordinator or a consortium')
    .action(async (options: { dir: string }, command: Command) => {
      const { kind, folder, files } = place(options.dir);
      await unlockIfAsked(folder);
      const lock = lockFolder(options.dir);
      try {
        if (kind === 'site') (await siteSecretsRewriter(options.dir, 'plain'))();
        unprotectFolder(folder, files);
      } finally {
        lock.release();
      }
      out(command).result(`Keys of the ${kind} are not protected any more.`, { kind, folder, protection: null });
    });
}

function place(dir: string): { readonly kind: string; readonly folder: string; readonly files: readonly string[] } {
  const found = KINDS.find(({ marker }) => existsSync(path.join(dir, marker)));
  if (found === undefined)
    throw new ConcordatError('ENROLL_KEYS_MISSING', `${dir} holds no private keys`, {
      hint: 'Name the folder of a site, a coordinator or a consortium.',
    });
  return { kind: found.kind, folder: path.join(dir, found.keys), files: found.files };
}

async function siteSecretsRewriter(dir: string, as: 'protected' | 'plain'): Promise<() => void> {
  const { rewriteSecrets } = await import('../../site-agent/store.js');
  return () => rewriteSecrets(dir, as);
}

async function newProvider({ keyFile, passphraseFile }: ProtectOptions): Promise<KeyProvider> {
  if (keyFile !== undefined && passphraseFile !== undefined)
    throw new ConcordatError('CLI_USAGE', '--passphrase-file and --key-file exclude each other');
  if (keyFile !== undefined) return keyFileProvider(readKeyFile(keyFile));
  if (passphraseFile !== undefined) return passphraseProvider(readPassphrase(passphraseFile));
  const [first, second] = [await ask('New passphrase: '), await ask('Again: ')];
  if (first !== second) throw new ConcordatError('CLI_USAGE', 'the two passphrases differ; nothing was changed');
  if (first === '') throw new ConcordatError('CLI_USAGE', 'an empty passphrase protects nothing');
  return passphraseProvider(first);
}

/**
 * Before a command at a terminal opens protected keys: asks for the passphrase, unless the environment says where it is.
 * A service never gets here, since it has no terminal.
 */
export async function unlockIfAsked(folder: string): Promise<void> {
  if (!isProtected(folder) || protectionOf(folder) !== 'passphrase' || !process.stdin.isTTY) return;
  if (process.env['CONCORDAT_PASSPHRASE_FILE'] !== undefined || process.env['CREDENTIALS_DIRECTORY'] !== undefined)
    return;
  unlockWith(passphraseProvider(await ask(`Passphrase of ${folder}: `)));
}

/** The same for whatever folder a command was given by --dir. */
export async function unlockFolderOf(dir: string): Promise<void> {
  const found = KINDS.find(({ marker }) => existsSync(path.join(dir, marker)));
  if (found !== undefined) await unlockIfAsked(path.join(dir, found.keys));
}

/** A line from the terminal that is not shown while it is typed. */
export async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY)
    throw new ConcordatError('CLI_USAGE', 'there is no terminal to ask for a passphrase', {
      hint: 'Give --passphrase-file or --key-file.',
    });
  let silent = false;
  const terminal = new Writable({
    write(chunk, _encoding, done) {
      if (!silent) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output: terminal, terminal: true });
  const answer = lines.question(question);
  silent = true;
  try {
    return await answer;
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
