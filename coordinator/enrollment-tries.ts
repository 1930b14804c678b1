import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';

/**
 * Slows down whoever tries tokens. A token has 256 random bits and is looked up by its SHA-256, so guessing is hopeless and
 * the time of a comparison tells nothing about it; the limit keeps the guessing cheap for the coordinator and visible in
 * its log. It holds for one network at a time: nobody elsewhere is kept from enrolling.
 */
export class EnrollmentTries {
  private readonly failures = new Map<string, number[]>();

  constructor(private readonly nowMs: () => number) {}

  /** Runs `enroll` unless that network failed too often lately. Throws ENROLL_TRIES_EXCEEDED, and what `enroll` throws. */
  async tried<T>(network: string, enroll: () => Promise<T>): Promise<T> {
    const since = this.nowMs() - LIMITS.enrollmentWindowMs;
    const recent = (this.failures.get(network) ?? []).filter((at) => at > since);
    if (recent.length >= LIMITS.enrollmentTriesMax)
      throw new ConcordatError('ENROLL_TRIES_EXCEEDED', 'too many enrollments with unknown tokens from this network');
    try {
      return await enroll();
    } catch (error) {
      if (error instanceof ConcordatError && error.code === 'ENROLL_TOKEN_UNKNOWN') this.failed(network, since);
      throw error;
    }
  }

  /** Calls may overlap, so the list is read again; networks whose failures are all old, or that are too many, are forgotten. */
  private failed(network: string, since: number): void {
    const recent = (this.failures.get(network) ?? []).filter((at) => at > since);
    this.failures.delete(network);
    this.failures.set(network, [...recent, this.nowMs()].slice(-LIMITS.enrollmentTriesMax));
    if (this.failures.size > LIMITS.refusalsRemembered)
      this.failures.delete(this.failures.keys().next().value as string);
  }
}
