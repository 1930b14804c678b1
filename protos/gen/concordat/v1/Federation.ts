// Original file: protos/concordat/v1/federation.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CoordinatorEnvelope as _concordat_v1_CoordinatorEnvelope, CoordinatorEnvelope__Output as _concordat_v1_CoordinatorEnvelope__Output } from '../../concordat/v1/CoordinatorEnvelope.js';
import type { SiteEnvelope as _concordat_v1_SiteEnvelope, SiteEnvelope__Output as _concordat_v1_SiteEnvelope__Output } from '../../concordat/v1/SiteEnvelope.js';

export interface FederationClient extends grpc.Client {
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_concordat_v1_SiteEnvelope, _concordat_v1_CoordinatorEnvelope__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_concordat_v1_SiteEnvelope, _concordat_v1_CoordinatorEnvelope__Output>;
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_concordat_v1_SiteEnvelope, _concordat_v1_CoordinatorEnvelope__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_concordat_v1_SiteEnvelope, _concordat_v1_CoordinatorEnvelope__Output>;
  
}

export interface FederationHandlers extends grpc.UntypedServiceImplementation {
  Connect: grpc.handleBidiStreamingCall<_concordat_v1_SiteEnvelope__Output, _concordat_v1_CoordinatorEnvelope>;
  
}

export interface FederationDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_concordat_v1_SiteEnvelope, _concordat_v1_CoordinatorEnvelope, _concordat_v1_SiteEnvelope__Output, _concordat_v1_CoordinatorEnvelope__Output>
}
