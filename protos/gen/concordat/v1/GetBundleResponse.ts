// Original file: protos/concordat/v1/registry.proto

import type { BundleEntry as _concordat_v1_BundleEntry, BundleEntry__Output as _concordat_v1_BundleEntry__Output } from '../../concordat/v1/BundleEntry.js';
import type { RegistryFile as _concordat_v1_RegistryFile, RegistryFile__Output as _concordat_v1_RegistryFile__Output } from '../../concordat/v1/RegistryFile.js';

export interface GetBundleResponse {
  'bundle'?: (_concordat_v1_BundleEntry | null);
  'files'?: (_concordat_v1_RegistryFile)[];
}

export interface GetBundleResponse__Output {
  'bundle'?: (_concordat_v1_BundleEntry__Output);
  'files': (_concordat_v1_RegistryFile__Output)[];
}
