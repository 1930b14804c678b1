// Original file: protos/concordat/v1/federation.proto


export interface Hello {
  'site'?: (string);
  'protocolVersion'?: (number);
  'programVersion'?: (string);
  '_site'?: "site";
  '_protocolVersion'?: "protocolVersion";
  '_programVersion'?: "programVersion";
}

export interface Hello__Output {
  'site'?: (string);
  'protocolVersion'?: (number);
  'programVersion'?: (string);
  '_site'?: "site";
  '_protocolVersion'?: "protocolVersion";
  '_programVersion'?: "programVersion";
}
