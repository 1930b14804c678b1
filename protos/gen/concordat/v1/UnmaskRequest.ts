// Original file: protos/concordat/v1/federation.proto

import type { SiteSignature as _concordat_v1_SiteSignature, SiteSignature__Output as _concordat_v1_SiteSignature__Output } from '../../concordat/v1/SiteSignature.js';

export interface UnmaskRequest {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'preKeyDigest'?: (Buffer | Uint8Array | string);
  'survivors'?: (string)[];
  'dropped'?: (string)[];
  'signatures'?: (_concordat_v1_SiteSignature)[];
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_preKeyDigest'?: "preKeyDigest";
}

export interface UnmaskRequest__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'preKeyDigest'?: (Buffer);
  'survivors': (string)[];
  'dropped': (string)[];
  'signatures': (_concordat_v1_SiteSignature__Output)[];
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_preKeyDigest'?: "preKeyDigest";
}
