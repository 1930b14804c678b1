// Original file: protos/concordat/v1/federation.proto

import type { BundleFile as _concordat_v1_BundleFile, BundleFile__Output as _concordat_v1_BundleFile__Output } from '../../concordat/v1/BundleFile.js';

export interface RatificationRequest {
  'studyHash'?: (Buffer | Uint8Array | string);
  'rosterVersion'?: (number);
  'bundleDigest'?: (Buffer | Uint8Array | string);
  'transcriptHead'?: (Buffer | Uint8Array | string);
  'files'?: (_concordat_v1_BundleFile)[];
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_bundleDigest'?: "bundleDigest";
  '_transcriptHead'?: "transcriptHead";
}

export interface RatificationRequest__Output {
  'studyHash'?: (Buffer);
  'rosterVersion'?: (number);
  'bundleDigest'?: (Buffer);
  'transcriptHead'?: (Buffer);
  'files': (_concordat_v1_BundleFile__Output)[];
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_bundleDigest'?: "bundleDigest";
  '_transcriptHead'?: "transcriptHead";
}
