import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packWords, unpackWords } from '../../shared/fixed-point.js';
import { maskedInput } from '../../shared/secagg/masked-input.site.js';
import type { SiteLink } from '../../shared/transport.js';
import { connectToCoordinator } from '../../site-agent/rpc.js';
import { ParticipantDriver } from '../../site-agent/shell/participant-driver.js';
import { encodeSiteRecord } from '../../site-agent/site-records.js';
import { openSiteStore } from '../../site-agent/store.js';
import { simKeys } from '../sim/world.js';
import { leavesOf, type Scene, type SitesReport, termsOf, usageSince } from './cast.js';

/**
 * The process of all sites of one scene: for each a connection, a store on disk and the driver of its rounds. The vector is
 * there already; what is measured is what every computation pays: the release of it, masks, disk and line.
 */
interface Ready {
  readonly site: string;
  readonly address: string;
  readonly authorityPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

const sockets = new Set<net.Socket>();
const connect = net.Socket.prototype.connect;
// Every TCP connection of this process, to count its bytes below TLS and HTTP/2.
net.Socket.prototype.connect = function (this: net.Socket, ...given: unknown[]) {
  sockets.add(this);
  return (connect as (...all: unknown[]) => net.Socket).apply(this, given);
} as typeof connect;
const passed = () => {
  let up = 0;
  let down = 0;
  for (const socket of sockets) {
    up += socket.bytesWritten;
    down += socket.bytesRead;
  }
  return { up, down };
};

const scene = JSON.parse(process.argv[2]!) as Scene;
const terms = termsOf(scene);
const names = terms.roster.sites.map(({ site }) => site);
const leaves = leavesOf(scene.length, names);
const folder = mkdtempSync(path.join(tmpdir(), 'concordat-bench-'));
const links: SiteLink[] = [];
const words = packWords([
  BigUint64Array.from({ length: scene.length }, (_, i) => BigInt((Math.imul(i + 1, 2654435761) >>> 0) & 0xffffff)),
]);

function startSite(ready: Ready): void {
  const { site, address, authorityPem, certificatePem, privateKeyPem } = ready;
  const store = openSiteStore(path.join(folder, site));
  const study = terms.roster.studyHash;
  let link: SiteLink | undefined;
  const driver = new ParticipantDriver(
    { site, terms, ...simKeys(site), guard: () => 'ok' },
    {
      append: (records) =>
        void store.append(records.map((record) => encodeSiteRecord(study, { type: 'participant', record }))),
      together: (write) => store.together(write),
      soon: (run) => void setTimeout(run, 20).unref(),
      putSecret: (name, secret) => store.putSecret(study, name, secret),
      getSecret: (name) => store.getSecret(study, name),
      secretNames: () => store.secretNames(study),
      eraseSecretsExcept: (kept) => store.eraseSecretsExcept(study, kept),
      putBlob: (bytes) => store.putBlob(bytes),
      getBlob: (hash) => store.getBlob(hash),
      deleteBlob: (hash) => store.deleteBlob(hash),
      send: (message) => void link?.send(message),
      upload: async (hash, fresh) => void (await link!.upload(store.getBlob(hash), fresh)),
      leaves: async () => leaves,
      contribute: async ({ round }) => {
        // Another vector for each site and round: equal blobs would be sent once.
        const own = new Uint8Array(words);
        own.set(createHash('sha256').update(`${site} ${round}`).digest().subarray(0, 3));
        return { words: own };
      },
      mask: async (job, specs, bytes, secret) => maskedInput(job, specs, unpackWords(specs, bytes), secret),
      recordEgress: (_task, blobHash, byteLength) => void store.appendLedger(JSON.stringify({ blobHash, byteLength })),
      report: () => undefined,
      stopped: (error) => process.send!({ failed: String(error) }),
      nowMs: () => Date.now(),
      random: () => new Uint8Array(randomBytes(32)),
    },
    [],
    false,
  );
  link = connectToCoordinator({
    ...{ address, authorityPem, site, programVersion: 'bench', random: Math.random },
    certificate: { certificatePem, privateKeyPem },
    events: {
      onConnected: () => driver.feed({ type: 'connected' }),
      onDisconnected: () => driver.feed({ type: 'disconnected' }),
      onMessage: (message) => driver.feed({ type: 'message', message } as Parameters<typeof driver.feed>[0]),
    },
  });
  links.push(link);
}

let start = { cpu: process.cpuUsage(), ...passed() };
process.on('message', (message: { readonly ready?: readonly Ready[]; readonly warm?: true; readonly end?: true }) => {
  if (message.ready !== undefined) for (const ready of message.ready) startSite(ready);
  else if (message.warm === true) start = { cpu: process.cpuUsage(), ...passed() };
  else {
    const { up, down } = passed();
    const report: SitesReport = { ...usageSince(start.cpu), bytesUp: up - start.up, bytesDown: down - start.down };
    process.send!({ report });
    void Promise.all(links.map((link) => link.close())).then(() => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(0);
    });
  }
});
