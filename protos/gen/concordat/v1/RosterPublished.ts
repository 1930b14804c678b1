// Original file: protos/concordat/v1/federation.proto


export interface RosterPublished {
  'rosterVersion'?: (number);
  'rosterBlob'?: (Buffer | Uint8Array | string);
  '_rosterVersion'?: "rosterVersion";
  '_rosterBlob'?: "rosterBlob";
}

export interface RosterPublished__Output {
  'rosterVersion'?: (number);
  'rosterBlob'?: (Buffer);
  '_rosterVersion'?: "rosterVersion";
  '_rosterBlob'?: "rosterBlob";
}
