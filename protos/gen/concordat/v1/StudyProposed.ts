// Original file: protos/concordat/v1/federation.proto


export interface StudyProposed {
  'studyHash'?: (Buffer | Uint8Array | string);
  'rosterVersion'?: (number);
  'documentBlob'?: (Buffer | Uint8Array | string);
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_documentBlob'?: "documentBlob";
}

export interface StudyProposed__Output {
  'studyHash'?: (Buffer);
  'rosterVersion'?: (number);
  'documentBlob'?: (Buffer);
  '_studyHash'?: "studyHash";
  '_rosterVersion'?: "rosterVersion";
  '_documentBlob'?: "documentBlob";
}
