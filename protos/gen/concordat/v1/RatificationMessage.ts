// Original file: protos/concordat/v1/federation.proto

import type { Ratification as _concordat_v1_Ratification, Ratification__Output as _concordat_v1_Ratification__Output } from '../../concordat/v1/Ratification.js';

export interface RatificationMessage {
  'ratification'?: (_concordat_v1_Ratification | null);
}

export interface RatificationMessage__Output {
  'ratification'?: (_concordat_v1_Ratification__Output);
}
