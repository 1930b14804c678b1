// Original file: protos/concordat/v1/enrollment.proto


export interface EnrollResponse {
  'certificate'?: (Buffer | Uint8Array | string);
  '_certificate'?: "certificate";
}

export interface EnrollResponse__Output {
  'certificate'?: (Buffer);
  '_certificate'?: "certificate";
}
