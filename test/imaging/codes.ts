import { ConcordatError } from '../../shared/errors.js';

/** The code of the error that an action throws; any other error passes through, so that a crash fails the test. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ConcordatError) return error.code;
    throw error;
  }
  return 'no error';
}
