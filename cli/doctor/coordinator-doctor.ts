import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { currentRoster, pendingEnrollments, pinnedConsortiumKey } from '../../coordinator/enrollment.js';
import { openEventStore } from '../../coordinator/event-store.js';
import { authorityPem } from '../../coordinator/tls.js';
import { decodeDocument } from '../../shared/document.js';
import { readPort } from '../address.js';
import {
  type Check,
  Checkup,
  certificateCheck,
  diskCheck,
  keyFilesCheck,
  keyFilesIn,
  ok,
  problem,
  skipped,
  warning,
} from './check.js';
import { healthChecks, portCheck, tlsCheck } from './network.js';

/** Looks at a coordinator's folder and, where one runs, at what answers on its port. Changes nothing. */
export async function coordinatorDoctor(folder: string, nowMs: () => number): Promise<Check[]> {
  const checkup = new Checkup();
  const { checks } = checkup;
  const first = await checkup.add('folder', () => {
    pinnedConsortiumKey(folder);
    return ok('folder', 'the consortium’s key is pinned');
  });
  if (first.state === 'problem') return checks;
  await checkup.add('key files', () => keyFilesCheck(keyFilesIn(path.join(folder, 'tls'))));
  await checkup.add('consortium key', () =>
    existsSync(path.join(folder, 'consortium.key'))
      ? problem(
          'consortium key',
          'the consortium’s private key lies in this folder',
          'Move it to a machine that is not on the network, and delete it here.',
        )
      : ok('consortium key', 'is not on this host’s folder'),
  );
  await checkup.add('disk', () => diskCheck(folder));
  await checkup.add('authority', () => authorityCheck(folder, nowMs()));
  await checkup.add('roster', () => rosterCheck(folder));
  await checkup.add('event log', () => logCheck(folder));
  await checkup.add('inbox', () => inboxCheck(folder));
  checks.push(...(await portChecks(folder, nowMs)));
  return checks;
}

function authorityCheck(folder: string, nowMs: number): Check {
  const { validTo } = new X509Certificate(authorityPem(folder));
  return certificateCheck(
    'authority',
    Date.parse(validTo),
    nowMs,
    'Make a new coordinator folder and invite the sites again.',
  );
}

function rosterCheck(folder: string): Check {
  const roster = currentRoster(folder);
  const waiting = pendingEnrollments(folder);
  const active = roster?.sites.filter(({ status }) => status === 'active').length ?? 0;
  const known = new Set(roster?.sites.map(({ tlsFingerprint }) => tlsFingerprint));
  const unsigned = waiting.filter(({ tlsFingerprint }) => !known.has(tlsFingerprint));
  const sign = 'Compare the sites’ keys by telephone, then run `concordat consortium sign-roster`.';
  if (roster === null) return warning('roster', `none is signed; ${unsigned.length} sites wait`, sign);
  const detail = `version ${roster.version}, signatures verified, ${active} active sites`;
  return unsigned.length === 0
    ? ok('roster', detail)
    : warning('roster', `${detail}; waiting: ${unsigned.map(({ site }) => site).join(', ')}`, sign);
}

function logCheck(folder: string): Check {
  const file = path.join(folder, 'events.db');
  if (!existsSync(file)) return skipped('event log', 'none yet: the coordinator makes it');
  const events = openEventStore(file);
  try {
    const studies = new Set<string>();
    let count = 0;
    for (const { study, payload } of events.replay()) {
      decodeDocument(payload);
      studies.add(study);
      count += 1;
    }
    return ok('event log', `${count} events of ${studies.size} studies can be read`);
  } finally {
    events.close();
  }
}

function inboxCheck(folder: string): Check {
  const inbox = path.join(folder, 'inbox');
  const waiting = existsSync(inbox) ? readdirSync(inbox).filter((name) => name.endsWith('.json')) : [];
  return waiting.length === 0
    ? ok('inbox', 'empty')
    : warning(
        'inbox',
        `${waiting.length} requests wait`,
        'A running coordinator takes them up within a second: start it.',
      );
}

async function portChecks(folder: string, nowMs: () => number): Promise<Check[]> {
  const file = path.join(folder, 'address.json');
  if (!existsSync(file)) return [skipped('port', 'the coordinator was not started yet')];
  const port = readPort(file);
  const line = await portCheck('127.0.0.1', port, null);
  if (line.socket === null)
    return [
      warning(
        'port',
        `nothing listens on ${port}, where the coordinator was last`,
        'Start it: concordat coordinator start --dir FOLDER.',
      ),
    ];
  const tls = await tlsCheck(line.socket, authorityPem(folder));
  line.socket.destroy();
  if (tls.state !== 'ok') return [line.check, tls];
  return [line.check, tls, ...(await healthChecks(`127.0.0.1:${port}`, authorityPem(folder), nowMs))];
}
