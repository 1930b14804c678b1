import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ConcordatError } from '../shared/errors.js';
import { planStudy } from '../shared/plan.js';
import { seededRandom } from '../shared/rng.js';
import type { SiteLink } from '../shared/transport.js';
import { type AgentConfig, type AgentProgress, SiteAgent } from '../site-agent/agent.js';
import { forgetPreviousTls, nextTlsCredentials, readEnrolled } from '../site-agent/keys.js';
import { DEFAULT_POLICY, type Policy, parsePolicy } from '../site-agent/policy.js';
import { leavesByComputation } from '../site-agent/preview.js';
import { connectToCoordinator, openRegistry } from '../site-agent/rpc.js';
import { computeInThread } from '../site-agent/shell/computer.js';
import { openSiteStore } from '../site-agent/store.js';
import { lockFolder, releasing } from './lock.js';
import { PROGRAM_VERSION } from './version.js';

export interface SiteProcess {
  /** Lines of the egress ledger. */
  ledger(): readonly string[];
  close(): Promise<void>;
}

/** policy.yaml of a site's folder, or the strict default where there is none. */
export function sitePolicy(folder: string): Policy {
  const file = path.join(folder, 'policy.yaml');
  return existsSync(file) ? parsePolicy(readFileSync(file, 'utf8'), 'policy.yaml') : DEFAULT_POLICY;
}

/** Composes keys, store, agent and connection of one site folder. Returns once the agent runs; it keeps connecting by itself. */
export async function runSite(
  folder: string,
  options: { readonly restored: boolean; readonly progress: (event: AgentProgress) => void },
): Promise<SiteProcess> {
  const enrolled = readEnrolled(folder);
  // Two agents on one folder could sign two survivor sets for one attempt.
  const lock = lockFolder(folder);
  const store = releasing(lock, () => openSiteStore(folder));
  let link: SiteLink | undefined;
  let closed = false;
  const dialled = (): SiteLink => {
    // Studies are taken up before the first connection; what they need from there then waits for it.
    if (link === undefined) throw new ConcordatError('WIRE_DISCONNECTED', 'there is no connection yet');
    return link;
  };
  const release = () => {
    store.close();
    lock.release();
  };
  const config: AgentConfig = {
    site: enrolled.site,
    folder,
    signingKey: enrolled.signingKey,
    consortiumPublicKey: enrolled.consortiumPublicKey,
    authority: enrolled.invitation.authority,
    policy: sitePolicy(folder),
    store,
    link: {
      get connected() {
        return link?.connected ?? false;
      },
      send: (message) => link?.send(message) ?? false,
      upload: async (bytes) => dialled().upload(bytes),
      download: async (hash, bytesMax) => dialled().download(hash, bytesMax),
    },
    registry: {
      listBundles: async () => dialled().listBundles(),
      getBundle: async (query) => dialled().getBundle(query),
    },
    leavesOfStudy: (study) => leavesByComputation(planStudy(study)),
    computer: computeInThread,
    restored: options.restored,
    // What a closed agent still had under way fails on the closed store, and is nobody's concern.
    progress: (event) => {
      if (!closed) options.progress(event);
    },
    nowMs: () => Date.now(),
  };
  const agent = await startAgent(config).catch((error: unknown) => {
    // Whoever tries again, in this process too, must not be kept out by what was begun.
    closed = true;
    release();
    throw error;
  });
  // Messages are taken one after another: a round's messages mean something only in their order.
  let queue = Promise.resolve();
  const random = seededRandom('reconnect', enrolled.site, process.pid, Date.now());
  let used = { certificatePem: enrolled.tlsCertificatePem, privateKeyPem: enrolled.tlsKeyPem };
  link = connectToCoordinator({
    address: enrolled.invitation.coordinator,
    authorityPem: enrolled.invitation.authority,
    site: enrolled.site,
    certificate: used,
    nextCertificate: (refused) => {
      used = nextTlsCredentials(folder, refused);
      return used;
    },
    programVersion: PROGRAM_VERSION,
    random: () => random.uniform(),
    events: {
      onConnected: () => {
        if (used.certificatePem === readEnrolled(folder).tlsCertificatePem) forgetPreviousTls(folder);
        agent.onConnected();
      },
      onDisconnected: (reason) => agent.onDisconnected(reason),
      onMessage: (message) => {
        queue = queue.then(() => agent.onMessage(message));
      },
    },
  });
  return {
    ledger: () => store.ledger(),
    close: async () => {
      closed = true;
      agent.stop();
      await link?.close();
      release();
    },
  };
}

async function startAgent(config: AgentConfig): Promise<SiteAgent> {
  const agent = new SiteAgent(config);
  try {
    await agent.start();
    return agent;
  } catch (error) {
    agent.stop();
    throw error;
  }
}

/** The registry as an enrolled site sees it, without a control stream, so that a running agent keeps its own. */
export function openSiteRegistry(folder: string): SiteRegistryLink {
  const enrolled = readEnrolled(folder);
  return openRegistry({
    address: enrolled.invitation.coordinator,
    authorityPem: enrolled.invitation.authority,
    certificate: { certificatePem: enrolled.tlsCertificatePem, privateKeyPem: enrolled.tlsKeyPem },
  });
}

export type SiteRegistryLink = Pick<SiteLink, 'download' | 'listBundles' | 'getBundle' | 'close'>;
