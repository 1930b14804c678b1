import { existsSync } from 'node:fs';
import path from 'node:path';
import { verifyLedger } from '../../shared/egress-ledger.js';
import { readCohortTable } from '../../site-agent/cohort-files.js';
import { type Enrolled, readEnrolled, readSiteKeys } from '../../site-agent/keys.js';
import { openRegistry } from '../../site-agent/rpc.js';
import { readLedger } from '../../site-agent/shell/ledger-keeper.js';
import { openSiteStore } from '../../site-agent/store.js';
import { sitePolicy } from '../run-site.js';
import {
  type Check,
  Checkup,
  certificateCheck,
  diskCheck,
  keyFilesCheck,
  keyFilesIn,
  look,
  ok,
  problem,
  skipped,
  warning,
} from './check.js';
import { dnsCheck, healthChecks, portCheck, proxyCheck, tlsCheck } from './network.js';

/**
 * Looks at everything a site agent needs, from its own folder to the coordinator's answer. Sends nothing but a handshake,
 * a health check and, with the site's certificate, a question for the list of published bundles.
 */
export async function siteDoctor(folder: string, env: NodeJS.ProcessEnv, nowMs: () => number): Promise<Check[]> {
  const checkup = new Checkup();
  const { checks } = checkup;
  const first = await checkup.add('keys', () => ok('keys', `of site ${readSiteKeys(folder).site}`));
  if (first.state === 'problem') return checks;
  await checkup.add('key files', () =>
    keyFilesCheck([...keyFilesIn(path.join(folder, 'keys')), path.join(folder, 'erasable.db')]),
  );
  await checkup.add('disk', () => diskCheck(folder));
  await checkup.add('policy', () => policyCheck(folder));
  await checkup.add('cohort', () => cohortCheck(folder));
  await checkup.add('store', () => storeCheck(folder));
  let enrolled: Enrolled | null = null;
  await checkup.add('enrollment', () => {
    enrolled = readEnrolled(folder);
    return certificateCheck(
      'enrollment',
      Date.parse(enrolled.certificateEnds),
      nowMs(),
      'Ask the consortium for a new invitation and run `concordat site enroll` again.',
    );
  });
  if (enrolled !== null) checks.push(...(await networkChecks(enrolled, env, nowMs)));
  return checks;
}

function policyCheck(folder: string): Check {
  const policy = sitePolicy(folder);
  if (!existsSync(path.join(folder, 'policy.yaml'))) return ok('policy', 'none: the strict default holds');
  const open = [
    ...(policy.automaticApproval ? ['approves studies by itself'] : []),
    ...(policy.visibility.aggregate ? ['lets totals isolate this site'] : []),
    ...(policy.secureAggregation === 'optional' ? ['takes part without secure aggregation'] : []),
  ];
  return open.length === 0
    ? ok('policy', 'policy.yaml is read')
    : warning(
        'policy',
        `policy.yaml ${open.join(', ')}`,
        'See that this is what the hospital decided; the fields are in docs/study.md.',
      );
}

function cohortCheck(folder: string): Check {
  const file = path.join(folder, 'cohort.yaml');
  if (!existsSync(file))
    return problem('cohort', 'there is no cohort.yaml', 'Write one; docs/study.md has its fields.');
  const { config, table } = readCohortTable(file);
  // What a study makes of the table is shown by `site approve`; how many rows it has is nobody's business here.
  return ok('cohort', `${config.table} is read, ${table.header.length} columns`);
}

function storeCheck(folder: string): Check {
  if (!existsSync(path.join(folder, 'site.db'))) return skipped('store', 'none yet: the agent makes it');
  const store = openSiteStore(folder);
  try {
    const ledger = readLedger(store);
    verifyLedger(ledger);
    return ok('store', `opens; egress ledger of ${ledger.length} entries is intact`);
  } finally {
    store.close();
  }
}

async function networkChecks(enrolled: Enrolled, env: NodeJS.ProcessEnv, nowMs: () => number): Promise<Check[]> {
  const { coordinator, authority } = enrolled.invitation;
  const at = coordinator.lastIndexOf(':');
  const host = coordinator.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  const port = Number(coordinator.slice(at + 1));
  const { proxy, check } = proxyCheck(coordinator, env);
  if (check.state === 'problem') return [check];
  // Behind a proxy the name is looked up there.
  const name = proxy === null ? await dnsCheck(host) : await dnsCheck(proxy.host);
  const checks = [check, name];
  if (name.state === 'problem') return checks;
  const line = await portCheck(host, port, proxy);
  checks.push(line.check);
  if (line.socket === null) return checks;
  const tls = await tlsCheck(line.socket, authority);
  line.socket.destroy();
  checks.push(tls);
  if (tls.state !== 'ok') return checks;
  const health = await healthChecks(coordinator, authority, nowMs, proxy);
  checks.push(...health);
  if (health[0]!.state !== 'ok') return checks;
  checks.push(
    await look('access', async () => {
      const registry = openRegistry({
        address: coordinator,
        authorityPem: authority,
        certificate: { certificatePem: enrolled.tlsCertificatePem, privateKeyPem: enrolled.tlsKeyPem },
      });
      try {
        const bundles = await registry.listBundles();
        return ok('access', `the coordinator knows this site; ${bundles.length} published bundles`);
      } finally {
        await registry.close();
      }
    }),
  );
  return checks;
}
