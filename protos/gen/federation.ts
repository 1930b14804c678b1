import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Approval as _concordat_v1_Approval, Approval__Output as _concordat_v1_Approval__Output } from './concordat/v1/Approval.js';
import type { ApprovalMessage as _concordat_v1_ApprovalMessage, ApprovalMessage__Output as _concordat_v1_ApprovalMessage__Output } from './concordat/v1/ApprovalMessage.js';
import type { AttemptClosed as _concordat_v1_AttemptClosed, AttemptClosed__Output as _concordat_v1_AttemptClosed__Output } from './concordat/v1/AttemptClosed.js';
import type { AttemptOffer as _concordat_v1_AttemptOffer, AttemptOffer__Output as _concordat_v1_AttemptOffer__Output } from './concordat/v1/AttemptOffer.js';
import type { BundleFile as _concordat_v1_BundleFile, BundleFile__Output as _concordat_v1_BundleFile__Output } from './concordat/v1/BundleFile.js';
import type { CoordinatorEnvelope as _concordat_v1_CoordinatorEnvelope, CoordinatorEnvelope__Output as _concordat_v1_CoordinatorEnvelope__Output } from './concordat/v1/CoordinatorEnvelope.js';
import type { FederationClient as _concordat_v1_FederationClient, FederationDefinition as _concordat_v1_FederationDefinition } from './concordat/v1/Federation.js';
import type { Heartbeat as _concordat_v1_Heartbeat, Heartbeat__Output as _concordat_v1_Heartbeat__Output } from './concordat/v1/Heartbeat.js';
import type { HeartbeatAnswer as _concordat_v1_HeartbeatAnswer, HeartbeatAnswer__Output as _concordat_v1_HeartbeatAnswer__Output } from './concordat/v1/HeartbeatAnswer.js';
import type { Hello as _concordat_v1_Hello, Hello__Output as _concordat_v1_Hello__Output } from './concordat/v1/Hello.js';
import type { LedgerCountersigned as _concordat_v1_LedgerCountersigned, LedgerCountersigned__Output as _concordat_v1_LedgerCountersigned__Output } from './concordat/v1/LedgerCountersigned.js';
import type { LedgerHead as _concordat_v1_LedgerHead, LedgerHead__Output as _concordat_v1_LedgerHead__Output } from './concordat/v1/LedgerHead.js';
import type { MaskedInput as _concordat_v1_MaskedInput, MaskedInput__Output as _concordat_v1_MaskedInput__Output } from './concordat/v1/MaskedInput.js';
import type { MaskedInputReceived as _concordat_v1_MaskedInputReceived, MaskedInputReceived__Output as _concordat_v1_MaskedInputReceived__Output } from './concordat/v1/MaskedInputReceived.js';
import type { PreKey as _concordat_v1_PreKey, PreKey__Output as _concordat_v1_PreKey__Output } from './concordat/v1/PreKey.js';
import type { PreKeyAnswer as _concordat_v1_PreKeyAnswer, PreKeyAnswer__Output as _concordat_v1_PreKeyAnswer__Output } from './concordat/v1/PreKeyAnswer.js';
import type { PreKeyRequest as _concordat_v1_PreKeyRequest, PreKeyRequest__Output as _concordat_v1_PreKeyRequest__Output } from './concordat/v1/PreKeyRequest.js';
import type { Ratification as _concordat_v1_Ratification, Ratification__Output as _concordat_v1_Ratification__Output } from './concordat/v1/Ratification.js';
import type { RatificationMessage as _concordat_v1_RatificationMessage, RatificationMessage__Output as _concordat_v1_RatificationMessage__Output } from './concordat/v1/RatificationMessage.js';
import type { RatificationRequest as _concordat_v1_RatificationRequest, RatificationRequest__Output as _concordat_v1_RatificationRequest__Output } from './concordat/v1/RatificationRequest.js';
import type { ReleasedShare as _concordat_v1_ReleasedShare, ReleasedShare__Output as _concordat_v1_ReleasedShare__Output } from './concordat/v1/ReleasedShare.js';
import type { RosterPublished as _concordat_v1_RosterPublished, RosterPublished__Output as _concordat_v1_RosterPublished__Output } from './concordat/v1/RosterPublished.js';
import type { ShareBoxes as _concordat_v1_ShareBoxes, ShareBoxes__Output as _concordat_v1_ShareBoxes__Output } from './concordat/v1/ShareBoxes.js';
import type { ShareCommitment as _concordat_v1_ShareCommitment, ShareCommitment__Output as _concordat_v1_ShareCommitment__Output } from './concordat/v1/ShareCommitment.js';
import type { SharesReleased as _concordat_v1_SharesReleased, SharesReleased__Output as _concordat_v1_SharesReleased__Output } from './concordat/v1/SharesReleased.js';
import type { SiteEnvelope as _concordat_v1_SiteEnvelope, SiteEnvelope__Output as _concordat_v1_SiteEnvelope__Output } from './concordat/v1/SiteEnvelope.js';
import type { SiteReady as _concordat_v1_SiteReady, SiteReady__Output as _concordat_v1_SiteReady__Output } from './concordat/v1/SiteReady.js';
import type { SiteRefusal as _concordat_v1_SiteRefusal, SiteRefusal__Output as _concordat_v1_SiteRefusal__Output } from './concordat/v1/SiteRefusal.js';
import type { SiteSignature as _concordat_v1_SiteSignature, SiteSignature__Output as _concordat_v1_SiteSignature__Output } from './concordat/v1/SiteSignature.js';
import type { StudyClosed as _concordat_v1_StudyClosed, StudyClosed__Output as _concordat_v1_StudyClosed__Output } from './concordat/v1/StudyClosed.js';
import type { StudyProgress as _concordat_v1_StudyProgress, StudyProgress__Output as _concordat_v1_StudyProgress__Output } from './concordat/v1/StudyProgress.js';
import type { StudyProposed as _concordat_v1_StudyProposed, StudyProposed__Output as _concordat_v1_StudyProposed__Output } from './concordat/v1/StudyProposed.js';
import type { StudyStarted as _concordat_v1_StudyStarted, StudyStarted__Output as _concordat_v1_StudyStarted__Output } from './concordat/v1/StudyStarted.js';
import type { SurvivorsProposal as _concordat_v1_SurvivorsProposal, SurvivorsProposal__Output as _concordat_v1_SurvivorsProposal__Output } from './concordat/v1/SurvivorsProposal.js';
import type { SurvivorsSigned as _concordat_v1_SurvivorsSigned, SurvivorsSigned__Output as _concordat_v1_SurvivorsSigned__Output } from './concordat/v1/SurvivorsSigned.js';
import type { TaskProgress as _concordat_v1_TaskProgress, TaskProgress__Output as _concordat_v1_TaskProgress__Output } from './concordat/v1/TaskProgress.js';
import type { TranscriptProof as _concordat_v1_TranscriptProof, TranscriptProof__Output as _concordat_v1_TranscriptProof__Output } from './concordat/v1/TranscriptProof.js';
import type { TranscriptRequest as _concordat_v1_TranscriptRequest, TranscriptRequest__Output as _concordat_v1_TranscriptRequest__Output } from './concordat/v1/TranscriptRequest.js';
import type { UnmaskRequest as _concordat_v1_UnmaskRequest, UnmaskRequest__Output as _concordat_v1_UnmaskRequest__Output } from './concordat/v1/UnmaskRequest.js';
import type { Welcome as _concordat_v1_Welcome, Welcome__Output as _concordat_v1_Welcome__Output } from './concordat/v1/Welcome.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  concordat: {
    v1: {
      Approval: MessageTypeDefinition<_concordat_v1_Approval, _concordat_v1_Approval__Output>
      ApprovalMessage: MessageTypeDefinition<_concordat_v1_ApprovalMessage, _concordat_v1_ApprovalMessage__Output>
      AttemptClosed: MessageTypeDefinition<_concordat_v1_AttemptClosed, _concordat_v1_AttemptClosed__Output>
      AttemptOffer: MessageTypeDefinition<_concordat_v1_AttemptOffer, _concordat_v1_AttemptOffer__Output>
      AttemptOutcome: EnumTypeDefinition
      BundleFile: MessageTypeDefinition<_concordat_v1_BundleFile, _concordat_v1_BundleFile__Output>
      ClosedPhase: EnumTypeDefinition
      CoordinatorEnvelope: MessageTypeDefinition<_concordat_v1_CoordinatorEnvelope, _concordat_v1_CoordinatorEnvelope__Output>
      Decision: EnumTypeDefinition
      Exchange: EnumTypeDefinition
      Federation: SubtypeConstructor<typeof grpc.Client, _concordat_v1_FederationClient> & { service: _concordat_v1_FederationDefinition }
      Heartbeat: MessageTypeDefinition<_concordat_v1_Heartbeat, _concordat_v1_Heartbeat__Output>
      HeartbeatAnswer: MessageTypeDefinition<_concordat_v1_HeartbeatAnswer, _concordat_v1_HeartbeatAnswer__Output>
      Hello: MessageTypeDefinition<_concordat_v1_Hello, _concordat_v1_Hello__Output>
      LedgerCountersigned: MessageTypeDefinition<_concordat_v1_LedgerCountersigned, _concordat_v1_LedgerCountersigned__Output>
      LedgerHead: MessageTypeDefinition<_concordat_v1_LedgerHead, _concordat_v1_LedgerHead__Output>
      MaskedInput: MessageTypeDefinition<_concordat_v1_MaskedInput, _concordat_v1_MaskedInput__Output>
      MaskedInputReceived: MessageTypeDefinition<_concordat_v1_MaskedInputReceived, _concordat_v1_MaskedInputReceived__Output>
      PreKey: MessageTypeDefinition<_concordat_v1_PreKey, _concordat_v1_PreKey__Output>
      PreKeyAnswer: MessageTypeDefinition<_concordat_v1_PreKeyAnswer, _concordat_v1_PreKeyAnswer__Output>
      PreKeyRequest: MessageTypeDefinition<_concordat_v1_PreKeyRequest, _concordat_v1_PreKeyRequest__Output>
      Ratification: MessageTypeDefinition<_concordat_v1_Ratification, _concordat_v1_Ratification__Output>
      RatificationMessage: MessageTypeDefinition<_concordat_v1_RatificationMessage, _concordat_v1_RatificationMessage__Output>
      RatificationRequest: MessageTypeDefinition<_concordat_v1_RatificationRequest, _concordat_v1_RatificationRequest__Output>
      ReleasedShare: MessageTypeDefinition<_concordat_v1_ReleasedShare, _concordat_v1_ReleasedShare__Output>
      RosterPublished: MessageTypeDefinition<_concordat_v1_RosterPublished, _concordat_v1_RosterPublished__Output>
      ShareBoxes: MessageTypeDefinition<_concordat_v1_ShareBoxes, _concordat_v1_ShareBoxes__Output>
      ShareCommitment: MessageTypeDefinition<_concordat_v1_ShareCommitment, _concordat_v1_ShareCommitment__Output>
      ShareKind: EnumTypeDefinition
      SharesReleased: MessageTypeDefinition<_concordat_v1_SharesReleased, _concordat_v1_SharesReleased__Output>
      SiteEnvelope: MessageTypeDefinition<_concordat_v1_SiteEnvelope, _concordat_v1_SiteEnvelope__Output>
      SiteReady: MessageTypeDefinition<_concordat_v1_SiteReady, _concordat_v1_SiteReady__Output>
      SiteRefusal: MessageTypeDefinition<_concordat_v1_SiteRefusal, _concordat_v1_SiteRefusal__Output>
      SiteSignature: MessageTypeDefinition<_concordat_v1_SiteSignature, _concordat_v1_SiteSignature__Output>
      StudyClosed: MessageTypeDefinition<_concordat_v1_StudyClosed, _concordat_v1_StudyClosed__Output>
      StudyProgress: MessageTypeDefinition<_concordat_v1_StudyProgress, _concordat_v1_StudyProgress__Output>
      StudyProposed: MessageTypeDefinition<_concordat_v1_StudyProposed, _concordat_v1_StudyProposed__Output>
      StudyStarted: MessageTypeDefinition<_concordat_v1_StudyStarted, _concordat_v1_StudyStarted__Output>
      SurvivorsProposal: MessageTypeDefinition<_concordat_v1_SurvivorsProposal, _concordat_v1_SurvivorsProposal__Output>
      SurvivorsSigned: MessageTypeDefinition<_concordat_v1_SurvivorsSigned, _concordat_v1_SurvivorsSigned__Output>
      TaskProgress: MessageTypeDefinition<_concordat_v1_TaskProgress, _concordat_v1_TaskProgress__Output>
      TranscriptProof: MessageTypeDefinition<_concordat_v1_TranscriptProof, _concordat_v1_TranscriptProof__Output>
      TranscriptRequest: MessageTypeDefinition<_concordat_v1_TranscriptRequest, _concordat_v1_TranscriptRequest__Output>
      UnmaskRequest: MessageTypeDefinition<_concordat_v1_UnmaskRequest, _concordat_v1_UnmaskRequest__Output>
      Verdict: EnumTypeDefinition
      Welcome: MessageTypeDefinition<_concordat_v1_Welcome, _concordat_v1_Welcome__Output>
    }
  }
}

