// Original file: protos/concordat/v1/federation.proto

import type { Decision as _concordat_v1_Decision, Decision__Output as _concordat_v1_Decision__Output } from '../../concordat/v1/Decision.js';

export interface Approval {
  'studyHash'?: (Buffer | Uint8Array | string);
  'rosterVersion'?: (number);
  'rosterHash'?: (Buffer | Uint8Array | string);
  'site'?: (string);
  'decision'?: (_concordat_v1_Decision);
  'reason'?: (string);
  'boxPublicKey'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_rosterHash'?: "rosterHash";
  '_site'?: "site";
  '_decision'?: "decision";
  '_reason'?: "reason";
  '_boxPublicKey'?: "boxPublicKey";
  '_signature'?: "signature";
}

export interface Approval__Output {
  'studyHash'?: (Buffer);
  'rosterVersion'?: (number);
  'rosterHash'?: (Buffer);
  'site'?: (string);
  'decision'?: (_concordat_v1_Decision__Output);
  'reason'?: (string);
  'boxPublicKey'?: (Buffer);
  'signature'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_rosterHash'?: "rosterHash";
  '_site'?: "site";
  '_decision'?: "decision";
  '_reason'?: "reason";
  '_boxPublicKey'?: "boxPublicKey";
  '_signature'?: "signature";
}
