import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CoordinatorReport, Scene, SitesReport } from './cast.js';

const SCENE_TIMEOUT_MS = 900_000;

export interface Row extends Scene {
  readonly roundsPerSecond: number;
  readonly expansion: number;
  readonly bytesDown: number;
  readonly coordinatorCpuMs: number;
  readonly coordinatorPeakMb: number;
  readonly siteCpuMs: number;
  readonly sitesPeakMb: number;
}

interface Told {
  readonly ready?: readonly unknown[];
  readonly warm?: true;
  readonly failed?: string;
  readonly report?: CoordinatorReport | SitesReport;
}

/** How the coordinator is deployed: the flags of Node in its unit. */
export function deployedFlags(): string[] {
  const unit = readFileSync('deploy/systemd/concordat-coordinator.service', 'utf8');
  const flags = /^ExecStart=\/usr\/bin\/node((?: --\S+)+) \/usr\/bin\/concordat coordinator start /m.exec(unit);
  if (flags === null) throw new Error("the coordinator's unit does not start it by node with flags");
  return flags[1]!.trim().split(' ');
}

function start(name: string, scene: Scene, execArgv: string[] = []): ChildProcess {
  const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  return fork(file, [JSON.stringify(scene)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv });
}

/** As many processes as this hold the sites: what one site waits for its disk must not hold up the others. */
const SITE_PROCESSES = 5;

/** One scene in fresh processes, so that peak memory is its own. */
export function play(scene: Scene): Promise<Row> {
  const coordinator = start('coordinator', scene, deployedFlags());
  const groups = Array.from({ length: Math.min(SITE_PROCESSES, scene.sites) }, () => start('sites', scene));
  const all = [coordinator, ...groups];
  return new Promise((resolve, reject) => {
    let from: CoordinatorReport | undefined;
    const reports: SitesReport[] = [];
    const fail = (why: string) => {
      for (const child of all) child.kill('SIGKILL');
      reject(new Error(`${JSON.stringify(scene)}: ${why}`));
    };
    const timer = setTimeout(() => fail('took too long'), SCENE_TIMEOUT_MS);
    let open = all.length;
    for (const child of all)
      child.on('exit', (code) => {
        if (code !== 0) fail(`a process ended with ${code}`);
        else if (--open === 0) resolve(rowOf(scene, from!, reports));
      });
    coordinator.on('message', (told: Told) => {
      if (told.failed !== undefined) return fail(told.failed);
      if (told.report !== undefined) from = told.report as CoordinatorReport;
      for (const [index, group] of groups.entries())
        if (told.ready !== undefined) group.send({ ready: told.ready.filter((_, at) => at % groups.length === index) });
        else group.send(told.warm === true ? { warm: true } : { end: true });
    });
    for (const group of groups)
      group.on('message', (told: Told) => {
        if (told.failed !== undefined) return fail(told.failed);
        if (reports.push(told.report as SitesReport) < groups.length) return;
        clearTimeout(timer);
        coordinator.send({ end: true });
      });
  });
}

function rowOf(scene: Scene, from: CoordinatorReport, reports: readonly SitesReport[]): Row {
  const each = scene.rounds * scene.sites;
  const sum = (of: (report: SitesReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  return {
    ...scene,
    roundsPerSecond: (1000 * scene.rounds) / from.wallMs,
    expansion: sum((report) => report.bytesUp) / (each * 8 * scene.length),
    bytesDown: sum((report) => report.bytesDown) / each,
    coordinatorCpuMs: from.cpuMs / scene.rounds,
    coordinatorPeakMb: from.peakBytes / 1e6,
    siteCpuMs: sum((report) => report.cpuMs) / each,
    sitesPeakMb: sum((report) => report.peakBytes) / 1e6,
  };
}
