// Original file: protos/concordat/v1/federation.proto

import type { Verdict as _concordat_v1_Verdict, Verdict__Output as _concordat_v1_Verdict__Output } from '../../concordat/v1/Verdict.js';

export interface Ratification {
  'studyHash'?: (Buffer | Uint8Array | string);
  'bundleDigest'?: (Buffer | Uint8Array | string);
  'rosterVersion'?: (number);
  'transcriptHead'?: (Buffer | Uint8Array | string);
  'site'?: (string);
  'verdict'?: (_concordat_v1_Verdict);
  'reason'?: (string);
  'signature'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_bundleDigest'?: "bundleDigest";
  '_rosterVersion'?: "rosterVersion";
  '_transcriptHead'?: "transcriptHead";
  '_site'?: "site";
  '_verdict'?: "verdict";
  '_reason'?: "reason";
  '_signature'?: "signature";
}

export interface Ratification__Output {
  'studyHash'?: (Buffer);
  'bundleDigest'?: (Buffer);
  'rosterVersion'?: (number);
  'transcriptHead'?: (Buffer);
  'site'?: (string);
  'verdict'?: (_concordat_v1_Verdict__Output);
  'reason'?: (string);
  'signature'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_bundleDigest'?: "bundleDigest";
  '_rosterVersion'?: "rosterVersion";
  '_transcriptHead'?: "transcriptHead";
  '_site'?: "site";
  '_verdict'?: "verdict";
  '_reason'?: "reason";
  '_signature'?: "signature";
}
