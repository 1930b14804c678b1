import { assert } from './errors.js';

/** Every limit in one place: what either side refuses to go beyond. Lengths in bytes, times in milliseconds. */
export const LIMITS = {
  /** Sites of one study: Shamir's scheme over GF(2^8) has 255 places, the statistics ring holds 2^40 from 127. */
  sitesMax: 120,
  /** With two, each would learn the other's contribution from the total. */
  secureSitesMin: 3,
  /** Attempts of one round before it counts as failed. */
  attemptsMax: 100,
  /** How often a connected but silent site is asked again before it counts as missing. */
  remindersMax: 20,
} as const;

assert(LIMITS.sitesMax < 128 && LIMITS.secureSitesMin >= 3, 'limits contradict each other');
