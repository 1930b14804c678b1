import { assert } from './errors.js';

/**
 * Every limit in one file, with the relations between them checked when the file is loaded. Times in milliseconds,
 * sizes in bytes. What a study may choose is in shared/study.ts; these are the edges of the program.
 */
export const LIMITS = {
  /** Sites of one study: Shamir's scheme over GF(2^8) has 255 places, the statistics ring holds 2^40 from 127. */
  sitesMax: 120,
  /** With two, each would learn the other's contribution from the total. */
  secureSitesMin: 3,
  /** Attempts of one round before it counts as failed. */
  attemptsMax: 100,
  /** Attempts of one round given up in a row because the coordinator's disk changed a masked input; then it stops and says so. */
  damagedInputsMax: 3,
  /**
   * How far the number of an attempt's slot may run ahead of what a side has seen: more attempts than a lost log of the
   * other side can have held.
   */
  slotsAheadMax: 1_000_000,
  /**
   * How often in one study sites may run ahead or come with another incarnation before an attempt: honest ones do so once after
   * a restored backup. Each costs records in the log and fresh pre-keys of everybody.
   */
  preKeyTurnsMax: 256,
  /** How often a connected but silent site is asked again before it counts as missing. */
  remindersMax: 20,
  /** The same under `onMissingSite: continue`, where the others go on: a site that works on tells of it. */
  stalledRemindersMax: 4,
  /** The others of a study that may go on wait so long for a site whose connection broke: two tries to connect again. */
  lossGraceMs: 12_000,
  /** How often a site that computes tells how far its computing thread has got. */
  workReportIntervalMs: 5_000,
  /** An exchange lasts no longer for a site that still gets on: one whole blob over 1 Mbit/s takes 2.4 hours. */
  exchangeMaxMs: 4 * 3_600_000,
  /** One message on the control stream: pre-keys of all sites with a box for the receiver are the largest. */
  controlMessageBytesMax: 8 * 1024 * 1024,
  /** Payload of one chunk of a transfer: ours, and the largest that is accepted. */
  transferChunkBytes: 256 * 1024,
  transferChunkBytesMax: 1024 * 1024,
  /** Least progress of an upload within the time in which a silent stream is closed: 16 KiB a minute. */
  transferProgressBytesMin: 16 * 1024,
  /** One blob: a contribution, a broadcast, a file of a bundle. It is held in memory on the way. */
  blobBytesMax: 1024 * 1024 * 1024,
  /** All files of one bundle together, as a site takes them to countersign. */
  bundleBytesMax: 256 * 1024 * 1024,
  /** Attempts within one study are counted in this range on the wire and in signed statements. */
  slotMax: 2 ** 31 - 1,
  rosterBytesMax: 1024 * 1024,
  reasonCharactersMax: 2000,
  /** HTTP/2 flow control: over 40 ms the default of 64 KiB gives 1 MB/s; 16 MiB gives the line's rate. */
  flowControlWindowBytes: 16 * 1024 * 1024,
  /** Calls of one connection at a time: an agent needs a control stream and a few transfers. Each may hold one message. */
  streamsPerConnectionMax: 16,
  /** Connections of one enrolled site: its agent, commands beside it, and dead ones not noticed yet. The oldest goes first. */
  connectionsPerSiteMax: 8,
  /** Connections without a site behind them, handshakes included; the fullest network loses its oldest, sites lose none. */
  strangersMax: 128,
  /** Of them, from one IPv4 address or IPv6 /64: a hospital's proxy may bring several sites and enrollments at once. */
  strangersPerNetworkMax: 32,
  /** From the first byte to the end of the TLS handshake; three round trips and a slow machine take far less. */
  handshakeTimeoutMs: 10_000,
  /** How long a connection without a site stays: long enough for an enrollment and a health check. */
  strangerLifetimeMs: 30_000,
  /** What such a connection may send in all: an enrollment takes 5 KB. Sent to be held, or only to be answered. */
  strangerBytesMax: 256 * 1024,
  strangerSweepMs: 250,
  /** Enrollments with a token that does not exist, from one network within the window; a mistyped token needs few. */
  enrollmentTriesMax: 10,
  enrollmentWindowMs: 60_000,
  /** Heads of one site's egress ledger that are logged beyond one for each attempt it was in: after that, one in so long. */
  ledgerHeadsSpare: 16,
  ledgerHeadIntervalMs: 3_600_000,
  /** Heads of one site that contradict its earlier ones and are logged as evidence; more of them prove nothing more. */
  ledgerContradictionsKept: 16,
  /** Address and code pairs whose repetitions are counted instead of logged, so that a flood does not fill the disk. */
  refusalsRemembered: 1024,
  heartbeatIntervalMs: 5_000,
  /** Silence after which the coordinator closes a site's stream. */
  livenessTimeoutMs: 60_000,
  /** Silence after which a site gives up its connection and opens a new one; the coordinator answers every heartbeat. */
  silenceTimeoutMs: 30_000,
  /**
   * HTTP/2 pings of an idle connection, for lines without a control stream. A ping stands in line behind whatever a slow
   * line has swallowed already, a whole window at 1 Mbit/s in the worst case.
   */
  keepaliveTimeMs: 30_000,
  keepaliveTimeoutMs: 180_000,
  reconnectFirstMs: 250,
  reconnectMaxMs: 5_000,
  unaryDeadlineMs: 30_000,
  /** Tries of one transfer in a row that moved nothing, each going on where the last one ended, before the caller is told. */
  transferTriesMax: 8,
  tokenLifetimeMs: 7 * 24 * 3_600_000,
  certificateLifetimeDays: 730,
  authorityLifetimeDays: 3650,
  /** The server's own certificate is renewed at a start within this many days of its end. */
  certificateRenewalDays: 60,
} as const;

export type Limits = { readonly [Name in keyof typeof LIMITS]: number };

assert(LIMITS.sitesMax < 128 && LIMITS.secureSitesMin >= 3, 'limits contradict each other');
assert(
  LIMITS.preKeyTurnsMax * LIMITS.slotsAheadMax < LIMITS.slotMax / 2,
  'running ahead must leave slots for attempts',
);
assert(LIMITS.transferChunkBytes <= LIMITS.transferChunkBytesMax, 'our own chunks must be accepted');
assert(LIMITS.transferChunkBytesMax < LIMITS.controlMessageBytesMax, 'one message size limit covers chunks too');
assert(
  2 * LIMITS.heartbeatIntervalMs < Math.min(LIMITS.livenessTimeoutMs, LIMITS.silenceTimeoutMs),
  'one lost heartbeat must not end a connection',
);
assert(LIMITS.reconnectFirstMs < LIMITS.reconnectMaxMs, 'backoff grows');
assert(LIMITS.lossGraceMs > 2 * LIMITS.reconnectMaxMs, 'a line that broke once must have its time to come back');
assert(LIMITS.blobBytesMax / 125_000 < LIMITS.exchangeMaxMs / 1000, 'a line of 1 Mbit/s must get a blob through');
assert(LIMITS.stalledRemindersMax < LIMITS.remindersMax, 'who may go on waits no longer than who may not');
assert(LIMITS.strangersPerNetworkMax < LIMITS.strangersMax, 'one network must not fill the room of all');
assert(LIMITS.handshakeTimeoutMs < LIMITS.strangerLifetimeMs, 'a handshake is the first part of a visit');
assert(
  LIMITS.flowControlWindowBytes / 125_000 < LIMITS.keepaliveTimeoutMs / 1000,
  'a line of 1 Mbit/s must get a window through before a ping counts as lost',
);
