import type { Command } from 'commander';
import { ConcordatError } from '../../shared/errors.js';
import { readPassphrase } from '../../shared/key-folder.js';
import { passphraseProvider } from '../../shared/key-vault.js';
import type { ApprovalRule, ApproverKey } from '../../site-agent/approvers.js';
import { output } from '../console.js';
import { ask } from './keys.js';

/** `site approver init`: the key of a person whom policy.yaml names. */
export function registerSiteApprover(site: Command): void {
  const approver = site.command('approver').description('persons whom policy.yaml names to approve for the site');

  approver
    .command('init')
    .description('make an approver’s key; the person keeps the file, apart from the site’s folder')
    .argument('<name>', 'the person, as policy.yaml names them')
    .requiredOption('--out <file>', 'file of the private key, readable by its owner only')
    .option('--passphrase-file <file>', 'seal the key under the first line of this file')
    .action(async (name: string, options: { out: string; passphraseFile?: string }, command: Command) => {
      const { makeApproverKey } = await import('../../site-agent/shell/approver-key.js');
      const passphrase = options.passphraseFile;
      const provider = passphrase === undefined ? null : passphraseProvider(readPassphrase(passphrase));
      const publicKey = makeApproverKey(options.out, name, provider);
      const sealed =
        provider === null ? 'not sealed: readable by whoever can read the file' : 'sealed by the passphrase';
      output(command.optsWithGlobals()['json'] === true).result(
        `Key of ${name} made in ${options.out}, ${sealed}.\nFor policy.yaml, under approval, approvers:\n  - {name: ${JSON.stringify(name)}, publicKey: ${publicKey}}`,
        { name, file: options.out, publicKey, sealed: provider !== null },
      );
    });
}

export interface ApproverOptions {
  readonly as?: string;
  readonly approverKey?: string;
  readonly passphraseFile?: string;
}

export function withApprover(command: Command): Command {
  return command
    .option('--as <name>', 'where policy.yaml names approvers: which of them you are')
    .option('--approver-key <file>', 'that person’s private key, from `site approver init`')
    .option('--passphrase-file <file>', 'what opens the approver’s key, where it is sealed (asked for if left out)');
}

/**
 * The person at the keyboard, proven by their key, or null where the policy names no approvers. Throws
 * POLICY_APPROVER_UNKNOWN, CLI_USAGE where a name is given and the policy has none, and what reading the key throws.
 */
export async function approverAtKeyboard(
  rule: ApprovalRule | null,
  options: ApproverOptions,
): Promise<ApproverKey | null> {
  if (rule === null) {
    if (options.as === undefined && options.approverKey === undefined) return null;
    throw new ConcordatError('CLI_USAGE', 'policy.yaml names no approvers, so nobody can sign as one', {
      hint: 'Leave out --as and --approver-key, or name approvers under `approval` in policy.yaml.',
    });
  }
  if (options.as === undefined || options.approverKey === undefined)
    throw new ConcordatError('POLICY_APPROVER_UNKNOWN', 'policy.yaml wants one of its named approvers to sign');
  const { requireApprover } = await import('../../site-agent/approvers.js');
  const { readApproverKey } = await import('../../site-agent/shell/approver-key.js');
  const { ed25519PublicKey } = await import('../../shared/ed25519.js');
  const { toHex } = await import('../../shared/hex.js');
  const file = options.approverKey;
  const key = await readApproverKey(file, async () =>
    passphraseProvider(
      options.passphraseFile === undefined
        ? await ask(`Passphrase of ${file}: `)
        : readPassphrase(options.passphraseFile),
    ),
  );
  if (key.name !== options.as)
    throw new ConcordatError('POLICY_APPROVER_UNKNOWN', 'the key file is of another person than --as names');
  requireApprover(rule, { name: key.name, publicKey: toHex(ed25519PublicKey(key.seed)) });
  return key;
}
