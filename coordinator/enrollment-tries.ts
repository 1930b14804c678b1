import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';

/**
 * Slows down whoever tries tokens. A token has 256 random bits and is looked up by its SHA-256, so guessing is hopeless and
 * the time of a comparison tells nothing about it; the limit keeps the guessing cheap for the coordinator and visible in
 * its log. It holds for one network at a time: nobody elsewhere is kept from enrolling.
 */
export class EnrollmentTries {
  private readonly tries = new Map<string, Tries>();

  constructor(private readonly nowMs: () => number) {}

  /**
   * Runs `enroll` unless that network failed too often lately: only unknown tokens count. Calls that overlap are so many that
   * all of them may still fail; the others wait for how those end, so that hospitals behind one address enroll at once. Throws
   * ENROLL_TRIES_EXCEEDED, and what `enroll` throws.
   */
  async tried<T>(network: string, enroll: () => Promise<T>): Promise<T> {
    const tries = this.of(network);
    for (;;) {
      const since = this.nowMs() - LIMITS.enrollmentWindowMs;
      tries.failedAtMs = tries.failedAtMs.filter((atMs) => atMs > since);
      if (tries.failedAtMs.length >= LIMITS.enrollmentTriesMax)
        throw new ConcordatError('ENROLL_TRIES_EXCEEDED', 'too many enrollments with unknown tokens from this network');
      if (tries.failedAtMs.length + tries.running < LIMITS.enrollmentTriesMax) break;
      await new Promise<void>((resolve) => tries.waiting.push(resolve));
    }
    tries.running++;
    try {
      return await enroll();
    } catch (error) {
      if (error instanceof ConcordatError && error.code === 'ENROLL_TOKEN_UNKNOWN') tries.failedAtMs.push(this.nowMs());
      throw error;
    } finally {
      tries.running--;
      const woken = tries.waiting.splice(0);
      for (const resolve of woken) resolve();
      const isIdle = tries.failedAtMs.length + tries.running + woken.length === 0;
      if (isIdle && this.tries.get(network) === tries) this.tries.delete(network);
    }
  }

  /** The network heard last stands last; of too many the first is forgotten. */
  private of(network: string): Tries {
    const tries = this.tries.get(network) ?? { failedAtMs: [], running: 0, waiting: [] };
    this.tries.delete(network);
    this.tries.set(network, tries);
    if (this.tries.size > LIMITS.refusalsRemembered) this.tries.delete(this.tries.keys().next().value as string);
    return tries;
  }
}

interface Tries {
  failedAtMs: number[];
  running: number;
  /** Calls that may begin once another has ended. */
  readonly waiting: (() => void)[];
}
