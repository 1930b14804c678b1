// Original file: protos/concordat/v1/federation.proto

import type { Exchange as _concordat_v1_Exchange, Exchange__Output as _concordat_v1_Exchange__Output } from '../../concordat/v1/Exchange.js';

export interface SiteRefusal {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'exchange'?: (_concordat_v1_Exchange);
  'code'?: (string);
  'about'?: (string)[];
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_exchange'?: "exchange";
  '_code'?: "code";
}

export interface SiteRefusal__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'exchange'?: (_concordat_v1_Exchange__Output);
  'code'?: (string);
  'about': (string)[];
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_exchange'?: "exchange";
  '_code'?: "code";
}
