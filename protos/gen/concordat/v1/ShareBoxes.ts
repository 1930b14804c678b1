// Original file: protos/concordat/v1/federation.proto


export interface ShareBoxes {
  'holder'?: (string);
  'self'?: (Buffer | Uint8Array | string);
  'mask'?: (Buffer | Uint8Array | string);
  '_holder'?: "holder";
  '_self'?: "self";
  '_mask'?: "mask";
}

export interface ShareBoxes__Output {
  'holder'?: (string);
  'self'?: (Buffer);
  'mask'?: (Buffer);
  '_holder'?: "holder";
  '_self'?: "self";
  '_mask'?: "mask";
}
