// Original file: protos/concordat/v1/registry.proto


export interface BundleEntry {
  'name'?: (string);
  'version'?: (number);
  'digest'?: (Buffer | Uint8Array | string);
  'studyHash'?: (Buffer | Uint8Array | string);
  'phase'?: (string);
  'publishedAt'?: (string);
  '_name'?: "name";
  '_version'?: "version";
  '_digest'?: "digest";
  '_studyHash'?: "studyHash";
  '_phase'?: "phase";
  '_publishedAt'?: "publishedAt";
}

export interface BundleEntry__Output {
  'name'?: (string);
  'version'?: (number);
  'digest'?: (Buffer);
  'studyHash'?: (Buffer);
  'phase'?: (string);
  'publishedAt'?: (string);
  '_name'?: "name";
  '_version'?: "version";
  '_digest'?: "digest";
  '_studyHash'?: "studyHash";
  '_phase'?: "phase";
  '_publishedAt'?: "publishedAt";
}
