import type { Command } from 'commander';
import { toHex } from '../../shared/hex.js';
import { output } from '../console.js';
import { initConsortium, signRoster } from '../consortium-keys.js';
import { table } from '../format.js';

export function registerConsortium(program: Command): void {
  const consortium = program
    .command('consortium')
    .description('the roster key: who is in the consortium. Keep it apart from the coordinator’s host');

  consortium
    .command('init')
    .description('make the consortium key in a folder of its own')
    .requiredOption('--dir <folder>', 'folder of the key')
    .action((options: { dir: string }, command: Command) => {
      const key = toHex(initConsortium(options.dir));
      output(command.optsWithGlobals()['json'] === true).result(
        `Consortium key made in ${options.dir}.\nPublic key  ${key}\nGive consortium.pub to the coordinator; keep consortium.key offline.`,
        { folder: options.dir, publicKey: key },
      );
    });

  consortium
    .command('sign-roster')
    .description('sign the next roster version over the enrollments that wait at the coordinator')
    .requiredOption('--dir <folder>', 'folder of the consortium key')
    .requiredOption('--coordinator <folder>', 'folder of the coordinator (or a copy: the new roster file is put there)')
    .option('--accept <sites...>', 'take in only these; by default all that wait')
    .option('--revoke <sites...>', 'revoke these sites')
    .addHelpText(
      'after',
      '\nCompare each site’s key with what the hospital tells you by telephone before you sign: the roster is what every site trusts.',
    )
    .action(
      async (options: { dir: string; coordinator: string; accept?: string[]; revoke?: string[] }, command: Command) => {
        const roster = await signRoster(options.dir, options.coordinator, {
          ...(options.accept === undefined ? {} : { accept: options.accept }),
          ...(options.revoke === undefined ? {} : { revoke: options.revoke }),
        });
        const rows = roster.sites.map((site) => [
          site.site,
          site.status,
          site.signingPublicKey.slice(0, 16),
          site.tlsFingerprint.slice(0, 16),
        ]);
        output(command.optsWithGlobals()['json'] === true).result(
          `Roster version ${roster.version} signed.\n\n${table(['site', 'status', 'signing key', 'certificate'], rows)}`,
          roster,
        );
      },
    );
}
