import type { PreKey } from '../../shared/messages.js';
import type { CoordinatorFrame, SiteFrame } from '../../shared/wire/types.js';

/** One message of every kind, with every field filled with a value of its own. */
let counter = 0;
const hash = () => (++counter).toString(16).padStart(2, '0').repeat(32);
const bytes = (length: number) => new Uint8Array(length).fill(++counter & 255);

const preKey = (): PreKey => ({
  studyHash: hash(),
  rosterVersion: 3,
  slot: 17,
  site: 'alder',
  incarnation: 'f00d',
  maskPublicKey: bytes(32),
  selfSeedHash: bytes(32),
  shares: ['alder', 'birch', 'cedar'].map((holder) => ({
    holder,
    selfCommitment: bytes(32),
    maskCommitment: bytes(32),
    boxesHash: bytes(32),
  })),
  boxes: [{ holder: 'birch', self: bytes(88), mask: bytes(88) }],
  signature: bytes(64),
});

const approval = () => ({
  studyHash: hash(),
  rosterVersion: 2,
  rosterHash: hash(),
  site: 'birch',
  decision: 'declined' as const,
  reason: 'über 90 % fehlend',
  boxPublicKey: bytes(32),
  signature: bytes(64),
});

const sets = () => ({ survivors: ['alder', 'cedar'], dropped: ['birch'] });

export const SITE_SAMPLES: SiteFrame[] = [
  { type: 'hello', site: 'alder', protocolVersion: 2, oldestProtocolVersion: 1, programVersion: '0.1.0' },
  { type: 'heartbeat', sequence: 2 ** 40 },
  { type: 'taskProgress', studyHash: hash(), computation: 'cox', round: 0, message: '', workMs: 2 ** 33 },
  { type: 'approval', approval: approval() },
  {
    type: 'ratification',
    ratification: {
      studyHash: hash(),
      bundleDigest: hash(),
      rosterVersion: 2,
      transcriptHead: hash(),
      site: 'cedar',
      verdict: 'ratified',
      reason: '',
      signature: bytes(64),
    },
  },
  { type: 'transcriptRequest', studyHash: hash(), size: 0, context: null },
  { type: 'transcriptRequest', studyHash: hash(), size: 812, context: hash() },
  { type: 'ledgerHead', length: 57, head: hash(), signature: bytes(64) },
  { type: 'siteReady', studyHash: hash(), incarnation: 'a1', context: null },
  { type: 'siteReady', studyHash: hash(), incarnation: 'a1', context: hash() },
  { type: 'preKeyAnswer', studyHash: hash(), preKey: preKey() },
  {
    type: 'maskedInput',
    studyHash: hash(),
    context: hash(),
    blobHash: hash(),
    byteLength: 5_000_000_000,
    nextPreKey: preKey(),
    signature: bytes(64),
  },
  {
    type: 'maskedInput',
    studyHash: hash(),
    context: hash(),
    blobHash: hash(),
    byteLength: 0,
    nextPreKey: null,
    signature: bytes(64),
  },
  { type: 'survivorsSigned', studyHash: hash(), context: hash(), ...sets(), signature: bytes(64) },
  {
    type: 'sharesReleased',
    studyHash: hash(),
    context: hash(),
    shares: [
      { dealer: 'alder', kind: 'self', share: bytes(32), salt: bytes(16) },
      { dealer: 'birch', kind: 'mask', share: bytes(32), salt: bytes(16) },
    ],
    signature: bytes(64),
  },
  {
    type: 'siteRefusal',
    studyHash: hash(),
    context: null,
    exchange: 'preKeys',
    code: 'SECAGG_SECRETS_LOST',
    about: ['birch'],
  },
];

export const COORDINATOR_SAMPLES: CoordinatorFrame[] = [
  { type: 'welcome', protocolVersion: 1, programVersion: '0.1.0', heartbeatIntervalMs: 5000, rosterVersion: 4 },
  { type: 'heartbeatAnswer', sequence: 9 },
  { type: 'rosterPublished', rosterVersion: 4, rosterBlob: hash() },
  { type: 'studyProposed', studyHash: hash(), rosterVersion: 4, documentBlob: hash() },
  { type: 'studyStarted', studyHash: hash(), approvals: [{ ...approval(), decision: 'approved', reason: '' }] },
  { type: 'studyProgress', studyHash: hash(), computation: 'describe', round: 12 },
  {
    type: 'ratificationRequest',
    studyHash: hash(),
    rosterVersion: 4,
    bundleDigest: hash(),
    transcriptHead: hash(),
    files: [{ path: 'bundle.json', blobHash: hash() }],
  },
  { type: 'studyClosed', studyHash: hash(), phase: 'withdrawn', reason: 'birch withdrew' },
  {
    type: 'transcriptProof',
    studyHash: hash(),
    size: 815,
    root: hash(),
    context: hash(),
    index: 811,
    inclusion: [hash(), hash()],
    consistency: [hash()],
  },
  {
    type: 'transcriptProof',
    studyHash: hash(),
    size: 0,
    root: hash(),
    context: null,
    index: null,
    inclusion: [],
    consistency: [],
  },
  { type: 'ledgerCountersigned', length: 57, head: hash(), signature: bytes(71) },
  { type: 'preKeyRequest', studyHash: hash(), slot: 1 },
  {
    type: 'attemptOffer',
    studyHash: hash(),
    rosterVersion: 4,
    computation: 'logistic',
    round: 3,
    attempt: 2,
    slot: 5,
    broadcastHash: hash(),
    declarationHash: hash(),
    sites: ['alder', 'birch', 'cedar'],
    preKeys: [preKey()],
  },
  { type: 'maskedInputReceived', studyHash: hash(), context: hash(), blobHash: hash() },
  { type: 'survivorsProposal', studyHash: hash(), context: hash(), preKeyDigest: hash(), ...sets() },
  {
    type: 'unmaskRequest',
    studyHash: hash(),
    context: hash(),
    preKeyDigest: hash(),
    ...sets(),
    signatures: [{ site: 'alder', signature: bytes(64) }],
  },
  { type: 'attemptClosed', studyHash: hash(), context: hash(), outcome: 'total' },
];
