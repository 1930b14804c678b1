// Original file: protos/concordat/v1/federation.proto

import type { PreKey as _concordat_v1_PreKey, PreKey__Output as _concordat_v1_PreKey__Output } from '../../concordat/v1/PreKey.js';

export interface AttemptOffer {
  'studyHash'?: (Buffer | Uint8Array | string);
  'rosterVersion'?: (number);
  'computation'?: (string);
  'round'?: (number);
  'attempt'?: (number);
  'slot'?: (number);
  'broadcastHash'?: (Buffer | Uint8Array | string);
  'declarationHash'?: (Buffer | Uint8Array | string);
  'sites'?: (string)[];
  'preKeys'?: (_concordat_v1_PreKey)[];
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_computation'?: "computation";
  '_round'?: "round";
  '_attempt'?: "attempt";
  '_slot'?: "slot";
  '_broadcastHash'?: "broadcastHash";
  '_declarationHash'?: "declarationHash";
}

export interface AttemptOffer__Output {
  'studyHash'?: (Buffer);
  'rosterVersion'?: (number);
  'computation'?: (string);
  'round'?: (number);
  'attempt'?: (number);
  'slot'?: (number);
  'broadcastHash'?: (Buffer);
  'declarationHash'?: (Buffer);
  'sites': (string)[];
  'preKeys': (_concordat_v1_PreKey__Output)[];
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_computation'?: "computation";
  '_round'?: "round";
  '_attempt'?: "attempt";
  '_slot'?: "slot";
  '_broadcastHash'?: "broadcastHash";
  '_declarationHash'?: "declarationHash";
}
