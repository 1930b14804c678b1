// Original file: protos/concordat/v1/federation.proto


export interface TaskProgress {
  'studyHash'?: (Buffer | Uint8Array | string);
  'computation'?: (string);
  'round'?: (number);
  'message'?: (string);
  '_studyHash'?: "studyHash";
  '_computation'?: "computation";
  '_round'?: "round";
  '_message'?: "message";
}

export interface TaskProgress__Output {
  'studyHash'?: (Buffer);
  'computation'?: (string);
  'round'?: (number);
  'message'?: (string);
  '_studyHash'?: "studyHash";
  '_computation'?: "computation";
  '_round'?: "round";
  '_message'?: "message";
}
