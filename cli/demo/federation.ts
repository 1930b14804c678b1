import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInvitation, initCoordinator } from '../../coordinator/enrollment.js';
import { ConcordatError } from '../../shared/errors.js';
import { type Study, studyHash } from '../../shared/study.js';
import { studyDocument } from '../../shared/study-signatures.js';
import { enrollSite, initSite } from '../../site-agent/keys.js';
import { requestEnrollment } from '../../site-agent/rpc.js';
import { readPort } from '../address.js';
import { initConsortium, signRoster } from '../consortium-keys.js';
import { takeAnswer } from '../inbox-answer.js';
import { DemoProcess, until } from './processes.js';

/** A federation of real processes in one folder: coordinator and site agents, as `concordat` would start them by hand. */
export interface Federation {
  readonly folder: string;
  readonly coordinator: DemoProcess;
  readonly sites: ReadonlyMap<string, DemoProcess>;
  readonly siteFolder: (site: string) => string;
  readonly coordinatorFolder: string;
  readonly consortiumFolder: string;
}

const MARK = '.concordat-demo';

/** A fresh folder: an earlier demo's is replaced, anything else is left alone and the next free name taken. */
export function freshFolder(wanted: string): string {
  for (let number = 1; ; number++) {
    const folder = number === 1 ? wanted : `${wanted}-${number}`;
    const ours = existsSync(path.join(folder, MARK));
    if (existsSync(folder) && !ours) continue;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, MARK), 'made by `concordat demo`; replaced by the next one\n');
    return folder;
  }
}

/**
 * Makes keys, enrolls every site over the network, signs the roster, and starts all processes. `prepare` puts a site's
 * tables and policy into its folder before its agent, which reads them, is started.
 */
export async function startFederation(
  folder: string,
  names: readonly string[],
  port = 0,
  prepare: (site: string, siteFolder: string) => void = () => undefined,
): Promise<Federation> {
  const coordinatorFolder = path.join(folder, 'coordinator');
  const consortiumFolder = path.join(folder, 'consortium');
  const siteFolder = (site: string) => path.join(folder, 'sites', site);
  const logs = path.join(folder, 'logs');
  mkdirSync(logs, { recursive: true });
  await initCoordinator(coordinatorFolder, initConsortium(consortiumFolder));
  const coordinator = startCoordinator(coordinatorFolder, logs, port);
  const address = await coordinatorAddress(coordinator, coordinatorFolder);
  const sites = new Map<string, DemoProcess>();
  for (const site of names) {
    await initSite(siteFolder(site), site);
    await enrollSite(siteFolder(site), createInvitation(coordinatorFolder, site, address), requestEnrollment);
  }
  await signRoster(consortiumFolder, coordinatorFolder);
  for (const site of names) {
    prepare(site, siteFolder(site));
    const agent = new DemoProcess(site, ['site', 'start', '--dir', siteFolder(site)], logs);
    agent.start();
    sites.set(site, agent);
  }
  return { folder, coordinator, sites, siteFolder, coordinatorFolder, consortiumFolder };
}

function startCoordinator(folder: string, logs: string, port: number): DemoProcess {
  const args = ['coordinator', 'start', '--dir', folder, '--host', '127.0.0.1', '--port', String(port)];
  const coordinator = new DemoProcess('coordinator', args, logs);
  coordinator.start();
  return coordinator;
}

/** host:port of the running coordinator. */
export async function coordinatorAddress(coordinator: DemoProcess, folder: string): Promise<string> {
  const file = path.join(folder, 'address.json');
  return until(
    () => {
      if (!coordinator.running && coordinator.lines.length > 0)
        throw new ConcordatError('INTERNAL_BUG', `the coordinator ended: ${coordinator.exitText}`);
      if (!existsSync(file)) return undefined;
      return `127.0.0.1:${readPort(file)}`;
    },
    () => new ConcordatError('CLI_COORDINATOR_SILENT', 'the coordinator did not open its port within 30 seconds'),
    30_000,
  );
}

/** Starts a coordinator again on the port it had, as its operator would. */
export function restartCoordinator(federation: Federation): DemoProcess {
  const port = readPort(path.join(federation.coordinatorFolder, 'address.json'));
  return startCoordinator(federation.coordinatorFolder, path.join(federation.folder, 'logs'), port);
}

/** Hands a study to the running coordinator, as `study propose` does. */
export async function proposeStudy(federation: Federation, study: Study): Promise<string> {
  const hash = studyHash(study);
  const file = path.join(federation.coordinatorFolder, 'inbox', `${hash}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  // An earlier proposal of the same study was answered under the same name.
  rmSync(`${file}.done`, { force: true });
  writeFileSync(
    `${file}.draft`,
    JSON.stringify({ type: 'propose', studyHash: hash, document: Buffer.from(studyDocument(study)).toString('utf8') }),
  );
  renameSync(`${file}.draft`, file);
  const answer = await until(
    () => takeAnswer(file),
    () => new ConcordatError('CLI_COORDINATOR_SILENT', 'the coordinator did not take the study within 30 seconds'),
    30_000,
  );
  if (!answer.ok) throw new ConcordatError('STUDY_INVALID', answer.message ?? 'the coordinator refused the study');
  return hash;
}

/** Folder of a published study in the registry. */
export function publishedFolder(federation: Federation, study: Study): string {
  return path.join(federation.coordinatorFolder, 'registry', `${study.name}-${studyHash(study).slice(0, 12)}`);
}

export async function stopFederation(federation: Federation): Promise<void> {
  await Promise.all([federation.coordinator, ...federation.sites.values()].map((process_) => process_.stop()));
}
