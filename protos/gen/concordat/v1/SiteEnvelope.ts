// Original file: protos/concordat/v1/federation.proto

import type { Hello as _concordat_v1_Hello, Hello__Output as _concordat_v1_Hello__Output } from '../../concordat/v1/Hello.js';
import type { Heartbeat as _concordat_v1_Heartbeat, Heartbeat__Output as _concordat_v1_Heartbeat__Output } from '../../concordat/v1/Heartbeat.js';
import type { TaskProgress as _concordat_v1_TaskProgress, TaskProgress__Output as _concordat_v1_TaskProgress__Output } from '../../concordat/v1/TaskProgress.js';
import type { ApprovalMessage as _concordat_v1_ApprovalMessage, ApprovalMessage__Output as _concordat_v1_ApprovalMessage__Output } from '../../concordat/v1/ApprovalMessage.js';
import type { RatificationMessage as _concordat_v1_RatificationMessage, RatificationMessage__Output as _concordat_v1_RatificationMessage__Output } from '../../concordat/v1/RatificationMessage.js';
import type { LedgerHead as _concordat_v1_LedgerHead, LedgerHead__Output as _concordat_v1_LedgerHead__Output } from '../../concordat/v1/LedgerHead.js';
import type { TranscriptRequest as _concordat_v1_TranscriptRequest, TranscriptRequest__Output as _concordat_v1_TranscriptRequest__Output } from '../../concordat/v1/TranscriptRequest.js';
import type { SiteReady as _concordat_v1_SiteReady, SiteReady__Output as _concordat_v1_SiteReady__Output } from '../../concordat/v1/SiteReady.js';
import type { PreKeyAnswer as _concordat_v1_PreKeyAnswer, PreKeyAnswer__Output as _concordat_v1_PreKeyAnswer__Output } from '../../concordat/v1/PreKeyAnswer.js';
import type { MaskedInput as _concordat_v1_MaskedInput, MaskedInput__Output as _concordat_v1_MaskedInput__Output } from '../../concordat/v1/MaskedInput.js';
import type { SurvivorsSigned as _concordat_v1_SurvivorsSigned, SurvivorsSigned__Output as _concordat_v1_SurvivorsSigned__Output } from '../../concordat/v1/SurvivorsSigned.js';
import type { SharesReleased as _concordat_v1_SharesReleased, SharesReleased__Output as _concordat_v1_SharesReleased__Output } from '../../concordat/v1/SharesReleased.js';
import type { SiteRefusal as _concordat_v1_SiteRefusal, SiteRefusal__Output as _concordat_v1_SiteRefusal__Output } from '../../concordat/v1/SiteRefusal.js';

export interface SiteEnvelope {
  'hello'?: (_concordat_v1_Hello | null);
  'heartbeat'?: (_concordat_v1_Heartbeat | null);
  'taskProgress'?: (_concordat_v1_TaskProgress | null);
  'approval'?: (_concordat_v1_ApprovalMessage | null);
  'ratification'?: (_concordat_v1_RatificationMessage | null);
  'ledgerHead'?: (_concordat_v1_LedgerHead | null);
  'transcriptRequest'?: (_concordat_v1_TranscriptRequest | null);
  'siteReady'?: (_concordat_v1_SiteReady | null);
  'preKeyAnswer'?: (_concordat_v1_PreKeyAnswer | null);
  'maskedInput'?: (_concordat_v1_MaskedInput | null);
  'survivorsSigned'?: (_concordat_v1_SurvivorsSigned | null);
  'sharesReleased'?: (_concordat_v1_SharesReleased | null);
  'siteRefusal'?: (_concordat_v1_SiteRefusal | null);
  'body'?: "hello"|"heartbeat"|"taskProgress"|"approval"|"ratification"|"ledgerHead"|"transcriptRequest"|"siteReady"|"preKeyAnswer"|"maskedInput"|"survivorsSigned"|"sharesReleased"|"siteRefusal";
}

export interface SiteEnvelope__Output {
  'hello'?: (_concordat_v1_Hello__Output);
  'heartbeat'?: (_concordat_v1_Heartbeat__Output);
  'taskProgress'?: (_concordat_v1_TaskProgress__Output);
  'approval'?: (_concordat_v1_ApprovalMessage__Output);
  'ratification'?: (_concordat_v1_RatificationMessage__Output);
  'ledgerHead'?: (_concordat_v1_LedgerHead__Output);
  'transcriptRequest'?: (_concordat_v1_TranscriptRequest__Output);
  'siteReady'?: (_concordat_v1_SiteReady__Output);
  'preKeyAnswer'?: (_concordat_v1_PreKeyAnswer__Output);
  'maskedInput'?: (_concordat_v1_MaskedInput__Output);
  'survivorsSigned'?: (_concordat_v1_SurvivorsSigned__Output);
  'sharesReleased'?: (_concordat_v1_SharesReleased__Output);
  'siteRefusal'?: (_concordat_v1_SiteRefusal__Output);
  'body'?: "hello"|"heartbeat"|"taskProgress"|"approval"|"ratification"|"ledgerHead"|"transcriptRequest"|"siteReady"|"preKeyAnswer"|"maskedInput"|"survivorsSigned"|"sharesReleased"|"siteRefusal";
}
