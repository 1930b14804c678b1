import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import {
  type LedgerEntry,
  type SignedLedgerHead,
  verifyAgainstLog,
  verifyCountersigned,
} from '../../shared/egress-ledger.js';
import { ConcordatError } from '../../shared/errors.js';
import { fromHex, toHex } from '../../shared/hex.js';
import { output } from '../console.js';
import { count, table } from '../format.js';
import { ledgerCsv, ledgerTable } from '../format-site.js';

interface SiteEgressOptions {
  readonly dir: string;
  readonly study?: string;
  readonly since?: number;
  readonly verify?: boolean;
  readonly csv?: boolean;
}

/** `concordat site egress`: what left this site, and whether the record of it is whole. */
export function registerSiteEgress(site: Command): void {
  site
    .command('egress')
    .description('the ledger: everything that left this site')
    .requiredOption('--dir <folder>', 'folder of the site')
    .option('--study <hash>', 'only this study')
    .option('--since <date>', 'only entries from this day on (2026-11-21, or with a time)', parseDate)
    .option('--verify', 'check the chain of hashes and the coordinator’s countersignatures')
    .option('--csv', 'as CSV')
    .action(async (options: SiteEgressOptions, command: Command) => {
      const { readCountersigned, readLedger } = await import('../../site-agent/shell/ledger-keeper.js');
      const { openSiteStore } = await import('../../site-agent/store.js');
      const { readSiteKeys, readEnrolled } = await import('../../site-agent/keys.js');
      const { site: name } = readSiteKeys(options.dir);
      const store = openSiteStore(options.dir);
      let entries: LedgerEntry[];
      let countersigned: SignedLedgerHead[];
      try {
        entries = readLedger(store);
        countersigned = readCountersigned(store);
      } finally {
        store.close();
      }
      // Before enrollment there is no authority, and no countersignature that would need one.
      const authority = (needed: boolean) => (needed ? readEnrolled(options.dir).invitation.authority : '');
      const reached =
        options.verify === true
          ? verifyCountersigned(name, entries, countersigned, authority(countersigned.length > 0))
          : null;
      const shown = entries.filter(
        (entry) =>
          (options.study === undefined || entry.study.startsWith(options.study)) &&
          (options.since === undefined || Date.parse(entry.time) >= options.since),
      );
      const verdict = reached === null ? '' : `\n${verdictOf(entries.length, reached)}`;
      output(command.optsWithGlobals()['json'] === true).result(
        options.csv === true ? ledgerCsv(shown) : `${ledgerTable(shown)}${verdict}`,
        {
          site: name,
          entries: shown,
          countersigned: countersigned.map(jsonOf),
          ...(reached === null ? {} : { verified: true, countersignedEntries: reached }),
        },
      );
    });
}

interface CoordinatorEgressOptions {
  readonly dir: string;
  readonly site?: string;
  readonly ledger?: string;
}

/** `concordat coordinator egress`: the heads that sites reported, and whether a site's ledger fits them. */
export function registerCoordinatorEgress(coordinator: Command): void {
  coordinator
    .command('egress')
    .description('heads of the sites’ egress ledgers, as they signed them; compare one with a ledger')
    .requiredOption('--dir <folder>', 'folder of the coordinator')
    .option('--site <name>', 'only this site')
    .option('--ledger <json>', 'what `site egress --json` of that site printed: check it against the log')
    .action(async (options: CoordinatorEgressOptions, command: Command) => {
      const { readLedgerEvents } = await import('../../coordinator/ledger-heads.js');
      const { openEventStore } = await import('../../coordinator/event-store.js');
      const { requireCoordinatorFolder } = await import('../run-coordinator.js');
      requireCoordinatorFolder(options.dir);
      const store = openEventStore(path.join(options.dir, 'events.db'));
      let events: ReturnType<typeof readLedgerEvents>;
      try {
        events = readLedgerEvents(store);
      } finally {
        store.close();
      }
      const heads = events.filter(({ type }) => type === 'ledgerHead');
      const contradicted = events.filter(({ type }) => type === 'ledgerContradicted');
      const sites = [...new Set(events.map(({ site }) => site))].sort();
      const rows = sites
        .filter((site) => options.site === undefined || site === options.site)
        .map((site) => {
          const last = heads.findLast((event) => event.site === site);
          return {
            site,
            entries: last?.head.length ?? 0,
            head: last?.head.head ?? '',
            at: last === undefined ? '' : new Date(last.atMs).toISOString(),
            contradicted: contradicted.filter((event) => event.site === site).length,
          };
        });
      const checked = options.ledger === undefined ? null : await checkLedger(options.dir, options.ledger, heads);
      const text = [
        rows.length === 0
          ? 'No site has reported its egress ledger.'
          : table(
              ['site', 'entries', 'head', 'last reported', 'contradictions'],
              rows.map((row) => [row.site, row.entries, row.head.slice(0, 16), row.at, row.contradicted]),
            ),
        ...(checked === null
          ? []
          : [`The ledger of ${checked.site} (${count(checked.entries, 'entry', 'entries')}) fits this log.`]),
      ].join('\n');
      output(command.optsWithGlobals()['json'] === true).result(text, {
        sites: rows,
        ...(checked === null ? {} : { verified: true, ...checked }),
      });
    });
}

async function checkLedger(
  folder: string,
  file: string,
  heads: readonly { readonly site: string; readonly head: SignedLedgerHead }[],
): Promise<{ readonly site: string; readonly entries: number }> {
  const { authorityPem } = await import('../../coordinator/tls.js');
  const { readRosterChain } = await import('../../coordinator/enrollment.js');
  const shown = readShownLedger(file);
  const keys = readRosterChain(folder).flatMap(({ roster }) =>
    roster.sites.filter(({ site }) => site === shown.site).map((member) => fromHex(member.signingPublicKey, 32)!),
  );
  const log = heads.filter(({ site }) => site === shown.site).map(({ head }) => head);
  verifyAgainstLog(shown.site, shown, log, keys, authorityPem(folder));
  return { site: shown.site, entries: shown.entries.length };
}

/** What is looked at here; that an entry holds what its hash says, `verifyLedger` finds out. */
const shownShape = z.looseObject({
  site: z.string(),
  entries: z.array(z.looseObject({ sequence: z.number(), previousHash: z.string(), hash: z.string() })),
  countersigned: z.array(z.looseObject({ length: z.number(), head: z.string(), signature: z.string() })),
});

/** Throws CLI_USAGE where the file is not what `site egress --json` prints. */
export function readShownLedger(file: string): {
  site: string;
  entries: LedgerEntry[];
  countersigned: SignedLedgerHead[];
} {
  const wrong = (cause?: unknown) =>
    new ConcordatError('CLI_USAGE', `${file} is not what \`concordat site egress --json\` prints`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw wrong(error);
  }
  const { data, error } = shownShape.safeParse(value);
  if (data === undefined) throw wrong(error);
  return {
    site: data.site,
    entries: data.entries as unknown as LedgerEntry[],
    countersigned: data.countersigned.map(({ length, head, signature }) => ({
      length,
      head,
      signature: new Uint8Array(Buffer.from(signature, 'hex')),
    })),
  };
}

function verdictOf(entries: number, reached: number): string {
  const open = entries - reached;
  return [
    'The chain of hashes is whole.',
    reached === 0
      ? 'The coordinator has countersigned no entry yet.'
      : `The coordinator has countersigned it up to entry ${reached}${open === 0 ? ', the last' : `; ${count(open, 'newer entry', 'newer entries')} not yet`}.`,
  ].join('\n');
}

function jsonOf({ length, head, signature }: SignedLedgerHead) {
  return { length, head, signature: toHex(signature) };
}

function parseDate(text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}([T ].*)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new ConcordatError('CLI_USAGE', `"${text}" is no date like 2026-11-21`);
  return ms;
}
