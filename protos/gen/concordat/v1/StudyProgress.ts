// Original file: protos/concordat/v1/federation.proto


export interface StudyProgress {
  'studyHash'?: (Buffer | Uint8Array | string);
  'computation'?: (string);
  'round'?: (number);
  '_studyHash'?: "studyHash";
  '_computation'?: "computation";
  '_round'?: "round";
}

export interface StudyProgress__Output {
  'studyHash'?: (Buffer);
  'computation'?: (string);
  'round'?: (number);
  '_studyHash'?: "studyHash";
  '_computation'?: "computation";
  '_round'?: "round";
}
