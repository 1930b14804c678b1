// Original file: protos/concordat/v1/federation.proto


export interface Welcome {
  'protocolVersion'?: (number);
  'programVersion'?: (string);
  'heartbeatIntervalMs'?: (number);
  'rosterVersion'?: (number);
  '_protocolVersion'?: "protocolVersion";
  '_programVersion'?: "programVersion";
  '_heartbeatIntervalMs'?: "heartbeatIntervalMs";
  '_rosterVersion'?: "rosterVersion";
}

export interface Welcome__Output {
  'protocolVersion'?: (number);
  'programVersion'?: (string);
  'heartbeatIntervalMs'?: (number);
  'rosterVersion'?: (number);
  '_protocolVersion'?: "protocolVersion";
  '_programVersion'?: "programVersion";
  '_heartbeatIntervalMs'?: "heartbeatIntervalMs";
  '_rosterVersion'?: "rosterVersion";
}
