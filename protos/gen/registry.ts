import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { BundleEntry as _concordat_v1_BundleEntry, BundleEntry__Output as _concordat_v1_BundleEntry__Output } from './concordat/v1/BundleEntry.js';
import type { GetBundleRequest as _concordat_v1_GetBundleRequest, GetBundleRequest__Output as _concordat_v1_GetBundleRequest__Output } from './concordat/v1/GetBundleRequest.js';
import type { GetBundleResponse as _concordat_v1_GetBundleResponse, GetBundleResponse__Output as _concordat_v1_GetBundleResponse__Output } from './concordat/v1/GetBundleResponse.js';
import type { ListBundlesRequest as _concordat_v1_ListBundlesRequest, ListBundlesRequest__Output as _concordat_v1_ListBundlesRequest__Output } from './concordat/v1/ListBundlesRequest.js';
import type { ListBundlesResponse as _concordat_v1_ListBundlesResponse, ListBundlesResponse__Output as _concordat_v1_ListBundlesResponse__Output } from './concordat/v1/ListBundlesResponse.js';
import type { RegistryClient as _concordat_v1_RegistryClient, RegistryDefinition as _concordat_v1_RegistryDefinition } from './concordat/v1/Registry.js';
import type { RegistryFile as _concordat_v1_RegistryFile, RegistryFile__Output as _concordat_v1_RegistryFile__Output } from './concordat/v1/RegistryFile.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  concordat: {
    v1: {
      BundleEntry: MessageTypeDefinition<_concordat_v1_BundleEntry, _concordat_v1_BundleEntry__Output>
      GetBundleRequest: MessageTypeDefinition<_concordat_v1_GetBundleRequest, _concordat_v1_GetBundleRequest__Output>
      GetBundleResponse: MessageTypeDefinition<_concordat_v1_GetBundleResponse, _concordat_v1_GetBundleResponse__Output>
      ListBundlesRequest: MessageTypeDefinition<_concordat_v1_ListBundlesRequest, _concordat_v1_ListBundlesRequest__Output>
      ListBundlesResponse: MessageTypeDefinition<_concordat_v1_ListBundlesResponse, _concordat_v1_ListBundlesResponse__Output>
      Registry: SubtypeConstructor<typeof grpc.Client, _concordat_v1_RegistryClient> & { service: _concordat_v1_RegistryDefinition }
      RegistryFile: MessageTypeDefinition<_concordat_v1_RegistryFile, _concordat_v1_RegistryFile__Output>
    }
  }
}

