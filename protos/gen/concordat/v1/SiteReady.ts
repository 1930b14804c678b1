// Original file: protos/concordat/v1/federation.proto


export interface SiteReady {
  'studyHash'?: (Buffer | Uint8Array | string);
  'incarnation'?: (string);
  'context'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_incarnation'?: "incarnation";
  '_context'?: "context";
}

export interface SiteReady__Output {
  'studyHash'?: (Buffer);
  'incarnation'?: (string);
  'context'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_incarnation'?: "incarnation";
  '_context'?: "context";
}
