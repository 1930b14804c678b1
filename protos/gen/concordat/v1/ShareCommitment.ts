// Original file: protos/concordat/v1/federation.proto


export interface ShareCommitment {
  'holder'?: (string);
  'selfCommitment'?: (Buffer | Uint8Array | string);
  'maskCommitment'?: (Buffer | Uint8Array | string);
  'boxesHash'?: (Buffer | Uint8Array | string);
  '_holder'?: "holder";
  '_selfCommitment'?: "selfCommitment";
  '_maskCommitment'?: "maskCommitment";
  '_boxesHash'?: "boxesHash";
}

export interface ShareCommitment__Output {
  'holder'?: (string);
  'selfCommitment'?: (Buffer);
  'maskCommitment'?: (Buffer);
  'boxesHash'?: (Buffer);
  '_holder'?: "holder";
  '_selfCommitment'?: "selfCommitment";
  '_maskCommitment'?: "maskCommitment";
  '_boxesHash'?: "boxesHash";
}
