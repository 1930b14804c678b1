// Original file: protos/concordat/v1/federation.proto


export interface SiteSignature {
  'site'?: (string);
  'signature'?: (Buffer | Uint8Array | string);
  '_site'?: "site";
  '_signature'?: "signature";
}

export interface SiteSignature__Output {
  'site'?: (string);
  'signature'?: (Buffer);
  '_site'?: "site";
  '_signature'?: "signature";
}
