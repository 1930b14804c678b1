// Original file: protos/concordat/v1/federation.proto


export interface Hello {
  'site'?: (string);
  'protocolVersion'?: (number);
  'programVersion'?: (string);
  'oldestProtocolVersion'?: (number);
  '_site'?: "site";
  '_protocolVersion'?: "protocolVersion";
  '_programVersion'?: "programVersion";
  '_oldestProtocolVersion'?: "oldestProtocolVersion";
}

export interface Hello__Output {
  'site'?: (string);
  'protocolVersion'?: (number);
  'programVersion'?: (string);
  'oldestProtocolVersion'?: (number);
  '_site'?: "site";
  '_protocolVersion'?: "protocolVersion";
  '_programVersion'?: "programVersion";
  '_oldestProtocolVersion'?: "oldestProtocolVersion";
}
