import type { ErrorEntry } from './errors.js';

/** code -> whose fault, gRPC status, exit status and what to do. Keep sorted by area; docs/errors.md follows it. */
export const ERROR_TABLE = {
  INTERNAL_BUG: {
    fault: 'bug',
    grpc: 'INTERNAL',
    exit: 5,
    hint: 'This is a defect in Concordat. Report it with the command and its output.',
  },
  STUDY_INVALID: {
    fault: 'user',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Mend the study file at the places listed; docs/study.md describes every field.',
  },
  STUDY_UNREADABLE: {
    fault: 'user',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Check that the file exists and is YAML; docs/study.md has an example to start from.',
  },
  SECAGG_BOUND_EXCEEDED: {
    fault: 'site',
    grpc: 'FAILED_PRECONDITION',
    exit: 2,
    hint: 'A value lies outside the range the study declared. Check units and outliers of the named tensor at this site.',
  },
  SECAGG_RING_OVERFLOW: {
    fault: 'user',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The declared bound times the number of sites does not fit the ring. Lower the bound or the fraction bits.',
  },
  WIRE_DOCUMENT_INVALID: {
    fault: 'coordinator',
    grpc: 'DATA_LOSS',
    exit: 4,
    hint: 'The message was damaged or comes from another version. Check that coordinator and site run neighbouring versions.',
  },
  STUDY_WRONG_PHASE: { fault: 'user', grpc: 'FAILED_PRECONDITION', exit: 3, hint: 'See `concordat study status`; an ended study is proposed again under a new hash.' },
} as const satisfies Record<string, ErrorEntry>;
