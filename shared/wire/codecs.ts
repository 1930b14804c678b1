import type { EnrollmentGrant, EnrollmentRequest } from '../enrollment.js';
import { ERROR_TABLE } from '../error-table.js';
import { ConcordatError, type ErrorCode } from '../errors.js';
import { LIMITS } from '../limits.js';
import type * as round from '../messages.js';
import type * as study from '../study-messages.js';
import {
  bool,
  bytes,
  type Codec,
  filePath,
  hash,
  list,
  message,
  name,
  nullable,
  oneOf,
  passingBytes,
  site,
  sortedSites,
  text,
  uint32,
  uint64,
} from './codec.js';
import type * as gen from './generated.js';
import type * as wire from './types.js';

/** The fields of every message, once, for both directions. Meanings are in the domain types. */
const reason = text(LIMITS.reasonCharactersMax);

const errorCode: Codec<ErrorCode> = {
  encode: (value) => value,
  decode: (value, path) => {
    const code = name.decode(value, path);
    if (!Object.hasOwn(ERROR_TABLE, code))
      throw new ConcordatError('WIRE_FIELD_INVALID', `the field ${path} is no error code of this version`);
    return code as ErrorCode;
  },
};

const shareCommitment = message<round.ShareCommitment, gen.ShareCommitment>({
  holder: site,
  selfCommitment: bytes(32),
  maskCommitment: bytes(32),
  boxesHash: bytes(32),
});

const shareBoxes = message<round.ShareBoxes, gen.ShareBoxes>({ holder: site, self: bytes(), mask: bytes() });

const preKey = message<round.PreKey, gen.PreKey>({
  studyHash: hash,
  rosterVersion: uint32,
  slot: uint32,
  site,
  incarnation: name,
  maskPublicKey: bytes(32),
  selfSeedHash: bytes(32),
  shares: list(shareCommitment),
  boxes: list(shareBoxes),
  signature: bytes(64),
});

const siteSignature = message<round.SiteSignature, gen.SiteSignature>({ site, signature: bytes(64) });

const releasedShare = message<round.ReleasedShare, gen.ReleasedShare>({
  dealer: site,
  kind: oneOf<round.ShareKind>({ self: 'SHARE_KIND_SELF', mask: 'SHARE_KIND_MASK' }),
  share: bytes(32),
  salt: bytes(16),
});

const approval = message<study.Approval, gen.Approval>({
  studyHash: hash,
  rosterVersion: uint32,
  rosterHash: hash,
  site,
  decision: oneOf<study.Decision>({
    approved: 'DECISION_APPROVED',
    declined: 'DECISION_DECLINED',
    withdrawn: 'DECISION_WITHDRAWN',
  }),
  reason,
  boxPublicKey: bytes(32),
  signature: bytes(64),
});

const ratification = message<study.Ratification, gen.Ratification>({
  studyHash: hash,
  bundleDigest: hash,
  rosterVersion: uint32,
  transcriptHead: hash,
  site,
  verdict: oneOf<study.Ratification['verdict']>({ ratified: 'VERDICT_RATIFIED', refused: 'VERDICT_REFUSED' }),
  reason,
  signature: bytes(64),
});

/** Domain `type` -> codec of its fields; the key is also the name of the field in the envelope. */
type Table<Frame extends { readonly type: string }> = {
  readonly [K in Frame['type']]: Codec<Omit<Extract<Frame, { type: K }>, 'type'>>;
};

export const SITE_FRAMES: Table<wire.SiteFrame> = {
  hello: message<wire.Hello, gen.Hello>({
    site,
    protocolVersion: uint32,
    oldestProtocolVersion: uint32,
    programVersion: name,
  }),
  heartbeat: message<wire.Heartbeat, gen.Heartbeat>({ sequence: uint64 }),
  taskProgress: message<study.TaskProgress, gen.TaskProgress>({
    studyHash: hash,
    computation: name,
    round: uint32,
    message: reason,
    workMs: uint64,
  }),
  approval: message<study.ApprovalMessage, gen.ApprovalMessage>({ approval }),
  ratification: message<study.RatificationMessage, gen.RatificationMessage>({ ratification }),
  transcriptRequest: message<study.TranscriptRequest, gen.TranscriptRequest>({
    studyHash: hash,
    size: uint64,
    context: nullable(hash),
  }),
  ledgerHead: message<wire.LedgerHeadMessage, gen.LedgerHead>({ length: uint64, head: hash, signature: bytes(64) }),
  siteReady: message<round.SiteReady, gen.SiteReady>({ studyHash: hash, incarnation: name, context: nullable(hash) }),
  preKeyAnswer: message<round.PreKeyAnswer, gen.PreKeyAnswer>({ studyHash: hash, preKey }),
  maskedInput: message<round.MaskedInput, gen.MaskedInput>({
    studyHash: hash,
    context: hash,
    blobHash: hash,
    byteLength: uint64,
    nextPreKey: nullable(preKey),
    signature: bytes(64),
  }),
  survivorsSigned: message<round.SurvivorsSigned, gen.SurvivorsSigned>({
    studyHash: hash,
    context: hash,
    survivors: sortedSites,
    dropped: sortedSites,
    signature: bytes(64),
  }),
  sharesReleased: message<round.SharesReleased, gen.SharesReleased>({
    studyHash: hash,
    context: hash,
    shares: list(releasedShare),
    signature: bytes(64),
  }),
  siteRefusal: message<round.SiteRefusal, gen.SiteRefusal>({
    studyHash: hash,
    context: nullable(hash),
    exchange: oneOf<round.Exchange>({
      preKeys: 'EXCHANGE_PRE_KEYS',
      maskedInput: 'EXCHANGE_MASKED_INPUT',
      agreement: 'EXCHANGE_AGREEMENT',
      unmask: 'EXCHANGE_UNMASK',
    }),
    code: errorCode,
    about: list(site),
  }),
};

export const COORDINATOR_FRAMES: Table<wire.CoordinatorFrame> = {
  welcome: message<wire.Welcome, gen.Welcome>({
    protocolVersion: uint32,
    programVersion: name,
    heartbeatIntervalMs: uint32,
    rosterVersion: uint32,
  }),
  heartbeatAnswer: message<wire.HeartbeatAnswer, gen.HeartbeatAnswer>({ sequence: uint64 }),
  rosterPublished: message<study.RosterPublished, gen.RosterPublished>({ rosterVersion: uint32, rosterBlob: hash }),
  studyProposed: message<study.StudyProposed, gen.StudyProposed>({
    studyHash: hash,
    rosterVersion: uint32,
    documentBlob: hash,
  }),
  studyStarted: message<study.StudyStarted, gen.StudyStarted>({ studyHash: hash, approvals: list(approval) }),
  studyProgress: message<study.StudyProgress, gen.StudyProgress>({ studyHash: hash, computation: name, round: uint32 }),
  ratificationRequest: message<study.RatificationRequest, gen.RatificationRequest>({
    studyHash: hash,
    rosterVersion: uint32,
    bundleDigest: hash,
    transcriptHead: hash,
    files: list(
      message<study.RatificationRequest['files'][number], gen.BundleFile>({ path: filePath, blobHash: hash }),
      1000,
    ),
  }),
  studyClosed: message<study.StudyClosed, gen.StudyClosed>({
    studyHash: hash,
    phase: oneOf<study.StudyClosed['phase']>({
      published: 'CLOSED_PHASE_PUBLISHED',
      declined: 'CLOSED_PHASE_DECLINED',
      failed: 'CLOSED_PHASE_FAILED',
      withdrawn: 'CLOSED_PHASE_WITHDRAWN',
    }),
    reason,
  }),
  transcriptProof: message<study.TranscriptProof, gen.TranscriptProof>({
    studyHash: hash,
    size: uint64,
    root: hash,
    context: nullable(hash),
    index: nullable(uint64),
    // A path is as long as the tree is high, and indices are below 2^53.
    inclusion: list(hash, 64),
    consistency: list(hash, 64),
  }),
  // DER, so that its length varies.
  ledgerCountersigned: message<wire.LedgerCountersigned, gen.LedgerCountersigned>({
    length: uint64,
    head: hash,
    signature: bytes(),
  }),
  preKeyRequest: message<round.PreKeyRequest, gen.PreKeyRequest>({ studyHash: hash, slot: uint32 }),
  attemptOffer: message<round.AttemptOffer, gen.AttemptOffer>({
    studyHash: hash,
    rosterVersion: uint32,
    computation: name,
    round: uint32,
    attempt: uint32,
    slot: uint32,
    broadcastHash: hash,
    declarationHash: hash,
    sites: sortedSites,
    preKeys: list(preKey),
  }),
  maskedInputReceived: message<round.MaskedInputReceived, gen.MaskedInputReceived>({
    studyHash: hash,
    context: hash,
    blobHash: hash,
  }),
  survivorsProposal: message<round.SurvivorsProposal, gen.SurvivorsProposal>({
    studyHash: hash,
    context: hash,
    preKeyDigest: hash,
    survivors: sortedSites,
    dropped: sortedSites,
  }),
  unmaskRequest: message<round.UnmaskRequest, gen.UnmaskRequest>({
    studyHash: hash,
    context: hash,
    preKeyDigest: hash,
    survivors: sortedSites,
    dropped: sortedSites,
    signatures: list(siteSignature),
  }),
  attemptClosed: message<round.AttemptClosed, gen.AttemptClosed>({
    studyHash: hash,
    context: hash,
    outcome: oneOf<round.AttemptClosed['outcome']>({
      total: 'ATTEMPT_OUTCOME_TOTAL',
      aborted: 'ATTEMPT_OUTCOME_ABORTED',
    }),
  }),
};

export const enrollRequest = message<EnrollmentRequest, gen.EnrollRequest>({
  site,
  token: bytes(32),
  csr: bytes(),
  signingPublicKey: bytes(32),
  proof: bytes(64),
});

export const enrollResponse = message<EnrollmentGrant, gen.EnrollResponse>({ certificate: bytes() });

export const statRequest = message<{ readonly sha256: string }, gen.StatRequest>({ sha256: hash });

export const statResponse = message<wire.BlobStat, gen.StatResponse>({ complete: bool, offset: uint64 });

export const uploadChunk = message<wire.UploadChunk, gen.UploadChunk>({
  blobSha256: nullable(hash),
  blobSize: nullable(uint64),
  offset: uint64,
  data: passingBytes,
  sha256: hash,
});

export const uploadReceipt = message<wire.UploadReceipt, gen.UploadReceipt>({ sha256: hash, size: uint64 });

export const downloadRequest = message<wire.DownloadRequest, gen.DownloadRequest>({ sha256: hash, offset: uint64 });

export const downloadChunk = message<wire.DownloadChunk, gen.DownloadChunk>({
  blobSize: nullable(uint64),
  offset: uint64,
  data: bytes(),
  sha256: hash,
});

const bundleEntry = message<wire.BundleEntry, gen.BundleEntry>({
  name,
  version: uint32,
  digest: hash,
  studyHash: hash,
  phase: name,
  publishedAt: name,
});

export const bundleList = message<{ readonly bundles: readonly wire.BundleEntry[] }, gen.ListBundlesResponse>({
  bundles: list(bundleEntry, 10_000),
});

export const bundleQuery = message<wire.BundleQuery, gen.GetBundleRequest>({ name, version: nullable(uint32) });

export const bundleDetail = message<wire.BundleDetail, gen.GetBundleResponse>({
  bundle: bundleEntry,
  files: list(
    message<wire.BundleDetail['files'][number], gen.RegistryFile>({ path: filePath, sha256: hash, size: uint64 }),
    1000,
  ),
});
