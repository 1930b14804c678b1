// Original file: protos/concordat/v1/federation.proto

import type { ShareCommitment as _concordat_v1_ShareCommitment, ShareCommitment__Output as _concordat_v1_ShareCommitment__Output } from '../../concordat/v1/ShareCommitment.js';
import type { ShareBoxes as _concordat_v1_ShareBoxes, ShareBoxes__Output as _concordat_v1_ShareBoxes__Output } from '../../concordat/v1/ShareBoxes.js';

export interface PreKey {
  'studyHash'?: (Buffer | Uint8Array | string);
  'rosterVersion'?: (number);
  'slot'?: (number);
  'site'?: (string);
  'incarnation'?: (string);
  'maskPublicKey'?: (Buffer | Uint8Array | string);
  'selfSeedHash'?: (Buffer | Uint8Array | string);
  'shares'?: (_concordat_v1_ShareCommitment)[];
  'boxes'?: (_concordat_v1_ShareBoxes)[];
  'signature'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_slot'?: "slot";
  '_site'?: "site";
  '_incarnation'?: "incarnation";
  '_maskPublicKey'?: "maskPublicKey";
  '_selfSeedHash'?: "selfSeedHash";
  '_signature'?: "signature";
}

export interface PreKey__Output {
  'studyHash'?: (Buffer);
  'rosterVersion'?: (number);
  'slot'?: (number);
  'site'?: (string);
  'incarnation'?: (string);
  'maskPublicKey'?: (Buffer);
  'selfSeedHash'?: (Buffer);
  'shares': (_concordat_v1_ShareCommitment__Output)[];
  'boxes': (_concordat_v1_ShareBoxes__Output)[];
  'signature'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_slot'?: "slot";
  '_site'?: "site";
  '_incarnation'?: "incarnation";
  '_maskPublicKey'?: "maskPublicKey";
  '_selfSeedHash'?: "selfSeedHash";
  '_signature'?: "signature";
}
