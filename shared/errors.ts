/**
 * Every error that a user, a site or the coordinator can meet: one table, checked by a test against docs/errors.md.
 * A code is `AREA_REASON`. `fault` says who has to act, `exit` is the process's exit status (shared/README.md).
 */
export type Fault = 'user' | 'site' | 'coordinator' | 'network' | 'stranger' | 'bug';

export interface ErrorEntry {
  readonly fault: Fault;
  readonly grpc:
    | 'INVALID_ARGUMENT'
    | 'FAILED_PRECONDITION'
    | 'PERMISSION_DENIED'
    | 'UNAUTHENTICATED'
    | 'NOT_FOUND'
    | 'ALREADY_EXISTS'
    | 'RESOURCE_EXHAUSTED'
    | 'DATA_LOSS'
    | 'DEADLINE_EXCEEDED'
    | 'UNAVAILABLE'
    | 'UNIMPLEMENTED'
    | 'ABORTED'
    | 'INTERNAL';
  /** 1 comparison or verification failed, 2 usage or input, 3 refused, 4 network, 5 internal. */
  readonly exit: 1 | 2 | 3 | 4 | 5;
  readonly hint: string;
}

import { ERROR_TABLE } from './error-table.js';

export type ErrorCode = keyof typeof ERROR_TABLE;

/** One place in one file that is wrong; `row` is 1-based and counts the header as row 1. */
export interface Problem {
  readonly file?: string;
  readonly row?: number;
  readonly column?: string;
  readonly message: string;
}

/**
 * The only error class that crosses a module boundary on purpose. `message` says what happened and why and must name
 * no patient; `problems` lists every place at once and never leaves the site.
 */
export class ConcordatError extends Error {
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];
  private readonly ownHint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string; problems?: readonly Problem[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ConcordatError';
    this.code = code;
    this.problems = options.problems ?? [];
    this.ownHint = options.hint;
  }

  get entry(): ErrorEntry {
    return ERROR_TABLE[this.code];
  }

  get hint(): string {
    return this.ownHint ?? this.entry.hint;
  }
}

/** A broken promise inside Concordat itself; never caught to go on, always reported as INTERNAL_BUG. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ConcordatError('INTERNAL_BUG', message);
}
