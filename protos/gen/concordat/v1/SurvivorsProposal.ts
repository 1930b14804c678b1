// Original file: protos/concordat/v1/federation.proto


export interface SurvivorsProposal {
  'studyHash'?: (Buffer | Uint8Array | string);
  'context'?: (Buffer | Uint8Array | string);
  'preKeyDigest'?: (Buffer | Uint8Array | string);
  'survivors'?: (string)[];
  'dropped'?: (string)[];
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_preKeyDigest'?: "preKeyDigest";
}

export interface SurvivorsProposal__Output {
  'studyHash'?: (Buffer);
  'context'?: (Buffer);
  'preKeyDigest'?: (Buffer);
  'survivors': (string)[];
  'dropped': (string)[];
  '_studyHash'?: "studyHash";
  '_context'?: "context";
  '_preKeyDigest'?: "preKeyDigest";
}
