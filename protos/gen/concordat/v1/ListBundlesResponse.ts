// Original file: protos/concordat/v1/registry.proto

import type { BundleEntry as _concordat_v1_BundleEntry, BundleEntry__Output as _concordat_v1_BundleEntry__Output } from '../../concordat/v1/BundleEntry.js';

export interface ListBundlesResponse {
  'bundles'?: (_concordat_v1_BundleEntry)[];
}

export interface ListBundlesResponse__Output {
  'bundles': (_concordat_v1_BundleEntry__Output)[];
}
