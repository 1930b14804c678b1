// Original file: protos/concordat/v1/registry.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetBundleRequest as _concordat_v1_GetBundleRequest, GetBundleRequest__Output as _concordat_v1_GetBundleRequest__Output } from '../../concordat/v1/GetBundleRequest.js';
import type { GetBundleResponse as _concordat_v1_GetBundleResponse, GetBundleResponse__Output as _concordat_v1_GetBundleResponse__Output } from '../../concordat/v1/GetBundleResponse.js';
import type { ListBundlesRequest as _concordat_v1_ListBundlesRequest, ListBundlesRequest__Output as _concordat_v1_ListBundlesRequest__Output } from '../../concordat/v1/ListBundlesRequest.js';
import type { ListBundlesResponse as _concordat_v1_ListBundlesResponse, ListBundlesResponse__Output as _concordat_v1_ListBundlesResponse__Output } from '../../concordat/v1/ListBundlesResponse.js';

export interface RegistryClient extends grpc.Client {
  GetBundle(argument: _concordat_v1_GetBundleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  GetBundle(argument: _concordat_v1_GetBundleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  GetBundle(argument: _concordat_v1_GetBundleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  GetBundle(argument: _concordat_v1_GetBundleRequest, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  getBundle(argument: _concordat_v1_GetBundleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  getBundle(argument: _concordat_v1_GetBundleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  getBundle(argument: _concordat_v1_GetBundleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  getBundle(argument: _concordat_v1_GetBundleRequest, callback: grpc.requestCallback<_concordat_v1_GetBundleResponse__Output>): grpc.ClientUnaryCall;
  
  ListBundles(argument: _concordat_v1_ListBundlesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  ListBundles(argument: _concordat_v1_ListBundlesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  ListBundles(argument: _concordat_v1_ListBundlesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  ListBundles(argument: _concordat_v1_ListBundlesRequest, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  listBundles(argument: _concordat_v1_ListBundlesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  listBundles(argument: _concordat_v1_ListBundlesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  listBundles(argument: _concordat_v1_ListBundlesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  listBundles(argument: _concordat_v1_ListBundlesRequest, callback: grpc.requestCallback<_concordat_v1_ListBundlesResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface RegistryHandlers extends grpc.UntypedServiceImplementation {
  GetBundle: grpc.handleUnaryCall<_concordat_v1_GetBundleRequest__Output, _concordat_v1_GetBundleResponse>;
  
  ListBundles: grpc.handleUnaryCall<_concordat_v1_ListBundlesRequest__Output, _concordat_v1_ListBundlesResponse>;
  
}

export interface RegistryDefinition extends grpc.ServiceDefinition {
  GetBundle: MethodDefinition<_concordat_v1_GetBundleRequest, _concordat_v1_GetBundleResponse, _concordat_v1_GetBundleRequest__Output, _concordat_v1_GetBundleResponse__Output>
  ListBundles: MethodDefinition<_concordat_v1_ListBundlesRequest, _concordat_v1_ListBundlesResponse, _concordat_v1_ListBundlesRequest__Output, _concordat_v1_ListBundlesResponse__Output>
}
