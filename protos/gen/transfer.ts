import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { DownloadChunk as _concordat_v1_DownloadChunk, DownloadChunk__Output as _concordat_v1_DownloadChunk__Output } from './concordat/v1/DownloadChunk.js';
import type { DownloadRequest as _concordat_v1_DownloadRequest, DownloadRequest__Output as _concordat_v1_DownloadRequest__Output } from './concordat/v1/DownloadRequest.js';
import type { StatRequest as _concordat_v1_StatRequest, StatRequest__Output as _concordat_v1_StatRequest__Output } from './concordat/v1/StatRequest.js';
import type { StatResponse as _concordat_v1_StatResponse, StatResponse__Output as _concordat_v1_StatResponse__Output } from './concordat/v1/StatResponse.js';
import type { TransferClient as _concordat_v1_TransferClient, TransferDefinition as _concordat_v1_TransferDefinition } from './concordat/v1/Transfer.js';
import type { UploadChunk as _concordat_v1_UploadChunk, UploadChunk__Output as _concordat_v1_UploadChunk__Output } from './concordat/v1/UploadChunk.js';
import type { UploadReceipt as _concordat_v1_UploadReceipt, UploadReceipt__Output as _concordat_v1_UploadReceipt__Output } from './concordat/v1/UploadReceipt.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  concordat: {
    v1: {
      DownloadChunk: MessageTypeDefinition<_concordat_v1_DownloadChunk, _concordat_v1_DownloadChunk__Output>
      DownloadRequest: MessageTypeDefinition<_concordat_v1_DownloadRequest, _concordat_v1_DownloadRequest__Output>
      StatRequest: MessageTypeDefinition<_concordat_v1_StatRequest, _concordat_v1_StatRequest__Output>
      StatResponse: MessageTypeDefinition<_concordat_v1_StatResponse, _concordat_v1_StatResponse__Output>
      Transfer: SubtypeConstructor<typeof grpc.Client, _concordat_v1_TransferClient> & { service: _concordat_v1_TransferDefinition }
      UploadChunk: MessageTypeDefinition<_concordat_v1_UploadChunk, _concordat_v1_UploadChunk__Output>
      UploadReceipt: MessageTypeDefinition<_concordat_v1_UploadReceipt, _concordat_v1_UploadReceipt__Output>
    }
  }
}

