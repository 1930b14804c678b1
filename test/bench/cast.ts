import { createHash } from 'node:crypto';
import { contributionBytes } from '../../shared/fixed-point.js';
import type { RoundTerms } from '../../shared/messages.js';
import { declarationHash } from '../../shared/secagg/context.js';
import type { TensorSpec } from '../../shared/tensors.js';
import { makeTerms, siteNames } from '../sim/world.js';
import { peakMemoryBytes } from './peak-memory.js';

/** One measurement: so many sites, a vector of that length, so many rounds that count. */
export interface Scene {
  readonly length: number;
  readonly sites: number;
  readonly mode: 'plain' | 'secure';
  readonly rounds: number;
}

/** What of a process's work fell into the rounds that count; CPU is user and system of all its threads. */
export interface Usage {
  readonly cpuMs: number;
  readonly peakBytes: number;
}

export interface CoordinatorReport extends Usage {
  readonly wallMs: number;
  /** SHA-256 of the last total. */
  readonly totalHash: string;
}

export interface SitesReport extends Usage {
  /** Bytes of the TCP connections of all sites in the process, in the rounds that count. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export function termsOf(scene: Scene): RoundTerms {
  return makeTerms(siteNames(scene.sites), { mode: scene.mode }, scene.sites);
}

export function leavesOf(length: number, sites: readonly string[]): TensorSpec[] {
  return [
    {
      ...{ name: 'weights', kind: 'weights', shape: [length], bound: 2 ** 20, ring: 64, fractionBits: 24 },
      contributors: sites.map((site) => ({ site, cells: [0] })),
      ...{ visibility: 'total', momentColumns: 0, fold: 'study', meaning: 'a vector to be added up' },
    },
  ];
}

export function openingOf(leaves: readonly TensorSpec[], round: number) {
  const broadcastHash = createHash('sha256').update(`broadcast ${round}`).digest('hex');
  return {
    ...{ computation: 'fedavg', round, broadcastHash, declarationHash: declarationHash(leaves) },
    contributionBytes: contributionBytes(leaves),
  };
}

export function usageSince(start: NodeJS.CpuUsage): Usage {
  const { user, system } = process.cpuUsage(start);
  return { cpuMs: (user + system) / 1000, peakBytes: peakMemoryBytes() };
}
