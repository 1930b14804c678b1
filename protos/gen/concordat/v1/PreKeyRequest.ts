// Original file: protos/concordat/v1/federation.proto


export interface PreKeyRequest {
  'studyHash'?: (Buffer | Uint8Array | string);
  'slot'?: (number);
  '_studyHash'?: "studyHash";
  '_slot'?: "slot";
}

export interface PreKeyRequest__Output {
  'studyHash'?: (Buffer);
  'slot'?: (number);
  '_studyHash'?: "studyHash";
  '_slot'?: "slot";
}
