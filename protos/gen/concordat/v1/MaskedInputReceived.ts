// Original file: protos/concordat/v1/federation.proto


export interface MaskedInputReceived {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'blobHash'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_blobHash'?: "blobHash";
}

export interface MaskedInputReceived__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'blobHash'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_blobHash'?: "blobHash";
}
