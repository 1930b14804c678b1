import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { currentRoster } from '../../coordinator/enrollment.js';
import { openEventStore } from '../../coordinator/event-store.js';
import { RoundDriver } from '../../coordinator/shell/round-driver.js';
import { encodeDocument } from '../../shared/document.js';
import type { SiteMessage } from '../../shared/messages.js';
import type { Roster } from '../../shared/roster.js';
import { Loopback } from '../support/federation.js';
import { type CoordinatorReport, leavesOf, openingOf, type Scene, termsOf, usageSince } from './cast.js';

/**
 * The coordinator's process of one scene: its gRPC server, its event log and blobs on disk, and the driver of rounds. What
 * a study adds to it (a computation's other half) is left out, so that rounds of any length can be had.
 */
const scene = JSON.parse(process.argv[2]!) as Scene;
const terms = termsOf(scene);
const sites = terms.roster.sites.map(({ site }) => site);
const leaves = leavesOf(scene.length, sites);
// As in the product the roster is read once, not for every call.
let roster: Roster | null = null;
const loopback = await Loopback.start({ roster: () => roster });
const enrolled = [];
for (const site of sites) enrolled.push(await loopback.join(site));
await loopback.sign();
roster = currentRoster(loopback.coordinatorDir);

const folder = mkdtempSync(path.join(tmpdir(), 'concordat-bench-'));
const events = openEventStore(path.join(folder, 'events.db'));
const { blobs } = loopback.handlers;
let start: { readonly cpu: NodeJS.CpuUsage; readonly ms: number } | null = null;
let timer: NodeJS.Timeout | undefined;
const driver = new RoundDriver(
  { terms, exchangeTimeoutMs: 600_000 },
  {
    append: (records) =>
      void events.append(
        records.map((record) => ({
          study: terms.roster.studyHash,
          type: 'round',
          payload: encodeDocument({ type: 'round', record }),
        })),
      ),
    putBlob: (bytes) => blobs.putBlob(bytes),
    getBlob: (hash, into) => blobs.getBlob(hash, into),
    deleteBlob: (hash) => blobs.deleteBlob(hash),
    send: (site, message) => void loopback.server.send(site, message),
    setTimer: (atMs) => {
      clearTimeout(timer);
      timer = setTimeout(
        () => driver.feed({ type: 'tick', nowMs: Date.now() }),
        Math.max(0, atMs - Date.now()),
      ).unref();
    },
    soon: (run) => void setTimeout(run, 20).unref(),
    nowMs: () => Date.now(),
    done: (round, _attempt, _total, totalHash) => setImmediate(() => next(round, totalHash)),
    failed: (code, message) => {
      process.send!({ failed: `${code}: ${message}` });
    },
    report: () => undefined,
  },
  [],
);

/** The first round, with its connections and warm caches to come, does not count. */
function next(round: number, totalHash: string): void {
  if (round === 1) {
    process.send!({ warm: true });
    start = { cpu: process.cpuUsage(), ms: performance.now() };
  }
  blobs.deleteBlob(totalHash);
  if (round <= scene.rounds) {
    driver.open(openingOf(leaves, round + 1), leaves);
    return;
  }
  const report: CoordinatorReport = {
    ...usageSince(start!.cpu),
    wallMs: performance.now() - start!.ms,
    totalHash,
  };
  process.send!({ report });
}

// Of the loopback's recording nothing is kept: it would grow with the rounds.
const waiting = new Set(sites);
Object.assign(loopback.handlers, {
  onSiteConnected: (site: string) => {
    driver.feed({ type: 'connected', site, nowMs: Date.now() });
    waiting.delete(site);
    if (waiting.size === 0) driver.open(openingOf(leaves, 1), leaves);
  },
  onSiteDisconnected: (site: string) => driver.feed({ type: 'disconnected', site, nowMs: Date.now() }),
  onSiteMessage: (site: string, message: SiteMessage) =>
    driver.feed({ type: 'message', site, message, nowMs: Date.now() }),
  onBlobStored: () => undefined,
  onUploadProgress: () => undefined,
  mayUpload: (site: string, _hash: string, size: number) => driver.awaited(site)?.byteLength === size,
});

process.on('message', () => {
  clearTimeout(timer);
  void loopback.stop().then(() => {
    events.close();
    rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  });
});
process.send!({
  ready: enrolled.map(({ site, invitation, tlsCertificatePem, tlsKeyPem }) => ({
    site,
    address: `127.0.0.1:${loopback.server.port}`,
    authorityPem: invitation.authority,
    certificatePem: tlsCertificatePem,
    privateKeyPem: tlsKeyPem,
  })),
});
