import { statfsSync } from 'node:fs';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { z } from 'zod';
import { countShape, readStoredJson } from '../../shared/stored-shapes.js';
import { PROGRAM_VERSION } from '../version.js';
import type { CoordinatorEvent, SiteEvent } from './log-records.js';

/** Seconds; a small study's round takes milliseconds, a network of 10^7 weights over a slow line minutes. */
const DURATION_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600];

const ledgerBytesShape = z.looseObject({ bytes: countShape });

/** Durations are differences of this clock: the wall clock may be set, and a duration must not be negative for that. */
const monotonic = (): number => performance.now();

export interface Metrics<Event> {
  readonly registry: Registry;
  observe(event: Event): void;
}

function newRegistry(role: 'coordinator' | 'site', folder: string): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'concordat_build_info',
    help: 'always 1; the labels say what runs',
    labelNames: ['role', 'version', 'node'],
    registers: [registry],
  }).set({ role, version: PROGRAM_VERSION, node: process.version }, 1);
  new Gauge({
    name: 'concordat_disk_free_bytes',
    help: 'space left for this user on the disk of the folder',
    registers: [registry],
    collect() {
      const { bavail, bsize } = statfsSync(folder);
      this.set(bavail * bsize);
    },
  });
  return registry;
}

/**
 * Prometheus metrics of the coordinator, derived from its progress events alone: sites, phases, rounds, bytes and
 * refusals by code. No metric holds a number of patients or a value of a total.
 */
export function coordinatorMetrics(
  folder: string,
  monotonicMs: () => number = monotonic,
): Metrics<CoordinatorEvent> & { stored(site: string, sizeBytes: number): void } {
  const registry = newRegistry('coordinator', folder);
  const registers = [registry];
  const connected = new Gauge({
    name: 'concordat_site_connected',
    help: '1 while the site’s control stream is open',
    labelNames: ['site'],
    registers,
  });
  const studies = new Gauge({
    name: 'concordat_studies',
    help: 'studies of the log by phase',
    labelNames: ['phase'],
    registers,
  });
  const rounds = new Counter({
    name: 'concordat_rounds_total',
    help: 'rounds opened since the start of the process',
    labelNames: ['computation'],
    registers,
  });
  const duration = new Histogram({
    name: 'concordat_round_duration_seconds',
    help: 'from the opening of a round to the next one or the end of the study',
    labelNames: ['computation'],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const aborted = new Counter({
    name: 'concordat_attempts_aborted_total',
    help: 'attempts given up and repeated, by reason',
    labelNames: ['reason'],
    registers,
  });
  const missing = new Counter({
    name: 'concordat_exchange_missing_total',
    help: 'times that an exchange waited for the site past its time',
    labelNames: ['exchange', 'site'],
    registers,
  });
  const refusals = new Counter({
    name: 'concordat_refusals_total',
    help: 'refusals by error code: by a site, or of a message that was not acceptable',
    labelNames: ['code'],
    registers,
  });
  const uploaded = new Counter({
    name: 'concordat_uploaded_bytes_total',
    help: 'bytes of masked inputs stored, by site',
    labelNames: ['site'],
    registers,
  });
  const phases = new Map<string, string>();
  const open = new Map<string, { readonly computation: string; readonly sinceMs: number }>();
  const closeRound = (study: string) => {
    const round = open.get(study);
    if (round === undefined) return;
    duration.observe({ computation: round.computation }, (monotonicMs() - round.sinceMs) / 1000);
    open.delete(study);
  };
  return {
    registry,
    stored: (site, sizeBytes) => uploaded.inc({ site }, sizeBytes),
    observe(event) {
      switch (event.kind) {
        case 'site':
          return connected.set({ site: event.site }, event.connected ? 1 : 0);
        case 'phase': {
          const before = phases.get(event.studyHash);
          if (before !== undefined) studies.dec({ phase: before });
          phases.set(event.studyHash, event.phase);
          studies.inc({ phase: event.phase });
          if (event.phase !== 'running') closeRound(event.studyHash);
          return;
        }
        case 'round':
          closeRound(event.studyHash);
          rounds.inc({ computation: event.computation });
          open.set(event.studyHash, { computation: event.computation, sinceMs: monotonicMs() });
          return;
        case 'round-report': {
          const { report } = event;
          if (report.kind === 'aborted') aborted.inc({ reason: report.reason });
          if (report.kind === 'missing')
            for (const site of report.sites) missing.inc({ exchange: report.exchange, site });
          if (report.kind === 'refused' || report.kind === 'damaged') refusals.inc({ code: report.code });
          return;
        }
        case 'refused':
          return refusals.inc({ code: event.code });
        case 'published':
        case 'collected':
          return;
      }
    },
  };
}

/** Prometheus metrics of a site agent, for the hospital's own monitoring. `ledger` gives the egress ledger's lines. */
export function siteMetrics(
  folder: string,
  ledger: () => readonly string[],
  monotonicMs: () => number = monotonic,
): Metrics<SiteEvent> {
  const registry = newRegistry('site', folder);
  const registers = [registry];
  const connected = new Gauge({
    name: 'concordat_coordinator_connected',
    help: '1 while the control stream to the coordinator is open',
    registers,
  });
  const studies = new Gauge({
    name: 'concordat_studies',
    help: 'studies this process heard of, by state',
    labelNames: ['state'],
    registers,
  });
  const contributions = new Counter({
    name: 'concordat_contributions_total',
    help: 'contributions uploaded since the start of the process',
    labelNames: ['computation'],
    registers,
  });
  const duration = new Histogram({
    name: 'concordat_contribution_duration_seconds',
    help: 'from joining an attempt to the upload of the masked input',
    labelNames: ['computation'],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const problems = new Counter({
    name: 'concordat_problems_total',
    help: 'problems and refusals by error code',
    labelNames: ['code'],
    registers,
  });
  let entries = 0;
  let bytes = 0;
  const read = () => {
    const lines = ledger();
    for (const line of lines.slice(entries)) bytes += readStoredJson(line, ledgerBytesShape, 'the egress ledger').bytes;
    entries = lines.length;
  };
  new Gauge({
    name: 'concordat_egress_entries',
    help: 'entries of the egress ledger',
    registers,
    collect() {
      read();
      this.set(entries);
    },
  });
  new Gauge({
    name: 'concordat_egress_bytes',
    help: 'bytes that left according to the egress ledger',
    registers,
    collect() {
      read();
      this.set(bytes);
    },
  });
  const states = new Map<string, string>();
  const joined = new Map<string, number>();
  connected.set(0);
  return {
    registry,
    observe(event) {
      switch (event.kind) {
        case 'connected':
          return connected.set(1);
        case 'disconnected':
          return connected.set(0);
        case 'study': {
          const before = states.get(event.studyHash);
          if (before !== undefined) studies.dec({ state: before });
          states.set(event.studyHash, event.state);
          return studies.inc({ state: event.state });
        }
        case 'round': {
          if (event.what === 'joined') joined.set(event.studyHash, monotonicMs());
          if (event.what !== 'uploaded') return;
          contributions.inc({ computation: event.computation });
          const since = joined.get(event.studyHash);
          if (since !== undefined) duration.observe({ computation: event.computation }, (monotonicMs() - since) / 1000);
          return;
        }
        case 'problem':
          return problems.inc({ code: event.code });
      }
    },
  };
}
