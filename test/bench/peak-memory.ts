import { readFileSync } from 'node:fs';

/**
 * The largest resident size of this process so far, in bytes. On Linux from the process's own memory map: what getrusage reports there begins with
 * the parent's size at the moment of the fork, so that a child of a large process would never show less than its parent held.
 */
export function peakMemoryBytes(): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Not Linux: getrusage there speaks of this process alone.
  }
  return process.resourceUsage().maxRSS * 1024;
}
