import { ConcordatError } from '../shared/errors.js';
import { LIMITS } from '../shared/limits.js';

/**
 * Slows down whoever tries tokens. A token has 256 random bits and is looked up by its SHA-256, so guessing is hopeless and
 * the time of a comparison tells nothing about it; the limit keeps the guessing cheap for the coordinator and visible in
 * its log. It holds for one network at a time: nobody elsewhere is kept from enrolling.
 */
export class EnrollmentTries {
  private readonly tries = new Map<string, readonly Try[]>();

  constructor(private readonly nowMs: () => number) {}

  /**
   * Runs `enroll` unless that network failed too often lately. A try counts from before it begins, or calls that overlap
   * would all pass; it is taken back unless the token was unknown. Throws ENROLL_TRIES_EXCEEDED, and what `enroll` throws.
   */
  async tried<T>(network: string, enroll: () => Promise<T>): Promise<T> {
    const since = this.nowMs() - LIMITS.enrollmentWindowMs;
    const recent = this.of(network).filter(({ atMs }) => atMs > since);
    if (recent.length >= LIMITS.enrollmentTriesMax)
      throw new ConcordatError('ENROLL_TRIES_EXCEEDED', 'too many enrollments with unknown tokens from this network');
    const attempt: Try = { atMs: this.nowMs() };
    this.keep(network, [...recent, attempt]);
    let isGuess = false;
    try {
      return await enroll();
    } catch (error) {
      isGuess = error instanceof ConcordatError && error.code === 'ENROLL_TOKEN_UNKNOWN';
      throw error;
    } finally {
      const others = this.of(network).filter((other) => other !== attempt);
      if (!isGuess && others.length > 0) this.keep(network, others);
      else if (!isGuess) this.tries.delete(network);
    }
  }

  private of(network: string): readonly Try[] {
    return this.tries.get(network) ?? [];
  }

  /** The network heard last stands last; of too many the first is forgotten. */
  private keep(network: string, tries: readonly Try[]): void {
    this.tries.delete(network);
    this.tries.set(network, tries);
    if (this.tries.size > LIMITS.refusalsRemembered) this.tries.delete(this.tries.keys().next().value as string);
  }
}

interface Try {
  readonly atMs: number;
}
