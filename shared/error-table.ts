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
  SECAGG_LENGTH_MISMATCH: {
    fault: 'site',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'The site sent a contribution of another length than the study declares. Check that both sides run neighbouring versions.',
  },
  SECAGG_SIGNATURE_INVALID: {
    fault: 'stranger',
    grpc: 'UNAUTHENTICATED',
    exit: 3,
    hint: "The message is not signed by the site that it names. Compare key fingerprints with the consortium's roster.",
  },
  SECAGG_PRE_KEY_INVALID: {
    fault: 'coordinator',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'The keys offered for this attempt do not fit the study, the roster or each other. Ask the operator of the coordinator.',
  },
  SECAGG_PRE_KEY_REUSED: {
    fault: 'coordinator',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'A pre-key serves one attempt, ever. The coordinator offered one again; ask its operator whether it was restored from a backup.',
  },
  SECAGG_SHARE_INVALID: {
    fault: 'site',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'The named site dealt or released a share that does not match its own commitment. Ask that site to check its installation.',
  },
  SECAGG_KEY_MISMATCH: {
    fault: 'site',
    grpc: 'DATA_LOSS',
    exit: 1,
    hint: 'A key rebuilt from shares is not the one that its owner announced. Ask the named site to check its installation.',
  },
  SECAGG_SET_INVALID: {
    fault: 'coordinator',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: "The survivors and dropped sites are not a proper division of the attempt's sites. Ask the operator of the coordinator.",
  },
  SECAGG_SET_CHANGED: {
    fault: 'coordinator',
    grpc: 'PERMISSION_DENIED',
    exit: 3,
    hint: 'A site signs one set per attempt. A second one was proposed; ask the operator of the coordinator.',
  },
  SECAGG_THRESHOLD: {
    fault: 'site',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'Too few sites took part to unmask a total. Bring the missing sites back, or start a study with more sites.',
  },
  SECAGG_TOO_FEW_SITES: {
    fault: 'user',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Secure aggregation needs at least three sites. Add sites, or turn it off knowing that each contribution is then visible.',
  },
  SECAGG_ATTEMPT_STALE: {
    fault: 'coordinator',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'The attempt is older than one that this site has seen or closed. It needs no action: the coordinator opens a new one.',
  },
  SECAGG_DECLARATION_MISMATCH: {
    fault: 'coordinator',
    grpc: 'FAILED_PRECONDITION',
    exit: 3,
    hint: 'Coordinator and site disagree on what is to be sent. Check that both run the same version and the same study.',
  },
  SECAGG_SECRETS_LOST: {
    fault: 'site',
    grpc: 'ABORTED',
    exit: 3,
    hint: 'The keys of this attempt are gone (restart from a backup, wiped disk). It needs no action: the coordinator opens a new one.',
  },
  WIRE_DOCUMENT_INVALID: {
    fault: 'coordinator',
    grpc: 'DATA_LOSS',
    exit: 4,
    hint: 'The message was damaged or comes from another version. Check that coordinator and site run neighbouring versions.',
  },
  STUDY_WRONG_PHASE: { fault: 'user', grpc: 'FAILED_PRECONDITION', exit: 3, hint: 'See `concordat study status`; an ended study is proposed again under a new hash.' },
} as const satisfies Record<string, ErrorEntry>;
