// Original file: protos/concordat/v1/enrollment.proto


export interface EnrollRequest {
  'site'?: (string);
  'token'?: (Buffer | Uint8Array | string);
  'csr'?: (Buffer | Uint8Array | string);
  'signingPublicKey'?: (Buffer | Uint8Array | string);
  'proof'?: (Buffer | Uint8Array | string);
  '_site'?: "site";
  '_token'?: "token";
  '_csr'?: "csr";
  '_signingPublicKey'?: "signingPublicKey";
  '_proof'?: "proof";
}

export interface EnrollRequest__Output {
  'site'?: (string);
  'token'?: (Buffer);
  'csr'?: (Buffer);
  'signingPublicKey'?: (Buffer);
  'proof'?: (Buffer);
  '_site'?: "site";
  '_token'?: "token";
  '_csr'?: "csr";
  '_signingPublicKey'?: "signingPublicKey";
  '_proof'?: "proof";
}
