// Original file: protos/concordat/v1/federation.proto


export interface SurvivorsSigned {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'survivors'?: (string)[];
  'dropped'?: (string)[];
  'signature'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_signature'?: "signature";
}

export interface SurvivorsSigned__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'survivors': (string)[];
  'dropped': (string)[];
  'signature'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_signature'?: "signature";
}
