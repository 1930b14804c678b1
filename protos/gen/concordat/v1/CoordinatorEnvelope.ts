// Original file: protos/concordat/v1/federation.proto

import type { Welcome as _concordat_v1_Welcome, Welcome__Output as _concordat_v1_Welcome__Output } from '../../concordat/v1/Welcome.js';
import type { HeartbeatAnswer as _concordat_v1_HeartbeatAnswer, HeartbeatAnswer__Output as _concordat_v1_HeartbeatAnswer__Output } from '../../concordat/v1/HeartbeatAnswer.js';
import type { RosterPublished as _concordat_v1_RosterPublished, RosterPublished__Output as _concordat_v1_RosterPublished__Output } from '../../concordat/v1/RosterPublished.js';
import type { StudyProposed as _concordat_v1_StudyProposed, StudyProposed__Output as _concordat_v1_StudyProposed__Output } from '../../concordat/v1/StudyProposed.js';
import type { StudyStarted as _concordat_v1_StudyStarted, StudyStarted__Output as _concordat_v1_StudyStarted__Output } from '../../concordat/v1/StudyStarted.js';
import type { StudyProgress as _concordat_v1_StudyProgress, StudyProgress__Output as _concordat_v1_StudyProgress__Output } from '../../concordat/v1/StudyProgress.js';
import type { RatificationRequest as _concordat_v1_RatificationRequest, RatificationRequest__Output as _concordat_v1_RatificationRequest__Output } from '../../concordat/v1/RatificationRequest.js';
import type { StudyClosed as _concordat_v1_StudyClosed, StudyClosed__Output as _concordat_v1_StudyClosed__Output } from '../../concordat/v1/StudyClosed.js';
import type { LedgerCountersigned as _concordat_v1_LedgerCountersigned, LedgerCountersigned__Output as _concordat_v1_LedgerCountersigned__Output } from '../../concordat/v1/LedgerCountersigned.js';
import type { PreKeyRequest as _concordat_v1_PreKeyRequest, PreKeyRequest__Output as _concordat_v1_PreKeyRequest__Output } from '../../concordat/v1/PreKeyRequest.js';
import type { AttemptOffer as _concordat_v1_AttemptOffer, AttemptOffer__Output as _concordat_v1_AttemptOffer__Output } from '../../concordat/v1/AttemptOffer.js';
import type { MaskedInputReceived as _concordat_v1_MaskedInputReceived, MaskedInputReceived__Output as _concordat_v1_MaskedInputReceived__Output } from '../../concordat/v1/MaskedInputReceived.js';
import type { SurvivorsProposal as _concordat_v1_SurvivorsProposal, SurvivorsProposal__Output as _concordat_v1_SurvivorsProposal__Output } from '../../concordat/v1/SurvivorsProposal.js';
import type { UnmaskRequest as _concordat_v1_UnmaskRequest, UnmaskRequest__Output as _concordat_v1_UnmaskRequest__Output } from '../../concordat/v1/UnmaskRequest.js';
import type { AttemptClosed as _concordat_v1_AttemptClosed, AttemptClosed__Output as _concordat_v1_AttemptClosed__Output } from '../../concordat/v1/AttemptClosed.js';
import type { TranscriptProof as _concordat_v1_TranscriptProof, TranscriptProof__Output as _concordat_v1_TranscriptProof__Output } from '../../concordat/v1/TranscriptProof.js';

export interface CoordinatorEnvelope {
  'welcome'?: (_concordat_v1_Welcome | null);
  'heartbeatAnswer'?: (_concordat_v1_HeartbeatAnswer | null);
  'rosterPublished'?: (_concordat_v1_RosterPublished | null);
  'studyProposed'?: (_concordat_v1_StudyProposed | null);
  'studyStarted'?: (_concordat_v1_StudyStarted | null);
  'studyProgress'?: (_concordat_v1_StudyProgress | null);
  'ratificationRequest'?: (_concordat_v1_RatificationRequest | null);
  'studyClosed'?: (_concordat_v1_StudyClosed | null);
  'ledgerCountersigned'?: (_concordat_v1_LedgerCountersigned | null);
  'preKeyRequest'?: (_concordat_v1_PreKeyRequest | null);
  'attemptOffer'?: (_concordat_v1_AttemptOffer | null);
  'maskedInputReceived'?: (_concordat_v1_MaskedInputReceived | null);
  'survivorsProposal'?: (_concordat_v1_SurvivorsProposal | null);
  'unmaskRequest'?: (_concordat_v1_UnmaskRequest | null);
  'attemptClosed'?: (_concordat_v1_AttemptClosed | null);
  'transcriptProof'?: (_concordat_v1_TranscriptProof | null);
  'body'?: "welcome"|"heartbeatAnswer"|"rosterPublished"|"studyProposed"|"studyStarted"|"studyProgress"|"ratificationRequest"|"studyClosed"|"ledgerCountersigned"|"preKeyRequest"|"attemptOffer"|"maskedInputReceived"|"survivorsProposal"|"unmaskRequest"|"attemptClosed"|"transcriptProof";
}

export interface CoordinatorEnvelope__Output {
  'welcome'?: (_concordat_v1_Welcome__Output);
  'heartbeatAnswer'?: (_concordat_v1_HeartbeatAnswer__Output);
  'rosterPublished'?: (_concordat_v1_RosterPublished__Output);
  'studyProposed'?: (_concordat_v1_StudyProposed__Output);
  'studyStarted'?: (_concordat_v1_StudyStarted__Output);
  'studyProgress'?: (_concordat_v1_StudyProgress__Output);
  'ratificationRequest'?: (_concordat_v1_RatificationRequest__Output);
  'studyClosed'?: (_concordat_v1_StudyClosed__Output);
  'ledgerCountersigned'?: (_concordat_v1_LedgerCountersigned__Output);
  'preKeyRequest'?: (_concordat_v1_PreKeyRequest__Output);
  'attemptOffer'?: (_concordat_v1_AttemptOffer__Output);
  'maskedInputReceived'?: (_concordat_v1_MaskedInputReceived__Output);
  'survivorsProposal'?: (_concordat_v1_SurvivorsProposal__Output);
  'unmaskRequest'?: (_concordat_v1_UnmaskRequest__Output);
  'attemptClosed'?: (_concordat_v1_AttemptClosed__Output);
  'transcriptProof'?: (_concordat_v1_TranscriptProof__Output);
  'body'?: "welcome"|"heartbeatAnswer"|"rosterPublished"|"studyProposed"|"studyStarted"|"studyProgress"|"ratificationRequest"|"studyClosed"|"ledgerCountersigned"|"preKeyRequest"|"attemptOffer"|"maskedInputReceived"|"survivorsProposal"|"unmaskRequest"|"attemptClosed"|"transcriptProof";
}
