// Original file: protos/concordat/v1/transfer.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DownloadChunk as _concordat_v1_DownloadChunk, DownloadChunk__Output as _concordat_v1_DownloadChunk__Output } from '../../concordat/v1/DownloadChunk.js';
import type { DownloadRequest as _concordat_v1_DownloadRequest, DownloadRequest__Output as _concordat_v1_DownloadRequest__Output } from '../../concordat/v1/DownloadRequest.js';
import type { StatRequest as _concordat_v1_StatRequest, StatRequest__Output as _concordat_v1_StatRequest__Output } from '../../concordat/v1/StatRequest.js';
import type { StatResponse as _concordat_v1_StatResponse, StatResponse__Output as _concordat_v1_StatResponse__Output } from '../../concordat/v1/StatResponse.js';
import type { UploadChunk as _concordat_v1_UploadChunk, UploadChunk__Output as _concordat_v1_UploadChunk__Output } from '../../concordat/v1/UploadChunk.js';
import type { UploadReceipt as _concordat_v1_UploadReceipt, UploadReceipt__Output as _concordat_v1_UploadReceipt__Output } from '../../concordat/v1/UploadReceipt.js';

export interface TransferClient extends grpc.Client {
  Download(argument: _concordat_v1_DownloadRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_concordat_v1_DownloadChunk__Output>;
  Download(argument: _concordat_v1_DownloadRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_concordat_v1_DownloadChunk__Output>;
  download(argument: _concordat_v1_DownloadRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_concordat_v1_DownloadChunk__Output>;
  download(argument: _concordat_v1_DownloadRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_concordat_v1_DownloadChunk__Output>;
  
  Stat(argument: _concordat_v1_StatRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  Stat(argument: _concordat_v1_StatRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  Stat(argument: _concordat_v1_StatRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  Stat(argument: _concordat_v1_StatRequest, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  stat(argument: _concordat_v1_StatRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  stat(argument: _concordat_v1_StatRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  stat(argument: _concordat_v1_StatRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  stat(argument: _concordat_v1_StatRequest, callback: grpc.requestCallback<_concordat_v1_StatResponse__Output>): grpc.ClientUnaryCall;
  
  Upload(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  Upload(metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  Upload(options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  Upload(callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  upload(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  upload(metadata: grpc.Metadata, callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  upload(options: grpc.CallOptions, callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  upload(callback: grpc.requestCallback<_concordat_v1_UploadReceipt__Output>): grpc.ClientWritableStream<_concordat_v1_UploadChunk>;
  
}

export interface TransferHandlers extends grpc.UntypedServiceImplementation {
  Download: grpc.handleServerStreamingCall<_concordat_v1_DownloadRequest__Output, _concordat_v1_DownloadChunk>;
  
  Stat: grpc.handleUnaryCall<_concordat_v1_StatRequest__Output, _concordat_v1_StatResponse>;
  
  Upload: grpc.handleClientStreamingCall<_concordat_v1_UploadChunk__Output, _concordat_v1_UploadReceipt>;
  
}

export interface TransferDefinition extends grpc.ServiceDefinition {
  Download: MethodDefinition<_concordat_v1_DownloadRequest, _concordat_v1_DownloadChunk, _concordat_v1_DownloadRequest__Output, _concordat_v1_DownloadChunk__Output>
  Stat: MethodDefinition<_concordat_v1_StatRequest, _concordat_v1_StatResponse, _concordat_v1_StatRequest__Output, _concordat_v1_StatResponse__Output>
  Upload: MethodDefinition<_concordat_v1_UploadChunk, _concordat_v1_UploadReceipt, _concordat_v1_UploadChunk__Output, _concordat_v1_UploadReceipt__Output>
}
