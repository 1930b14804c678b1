// Original file: protos/concordat/v1/registry.proto


export interface GetBundleRequest {
  'name'?: (string);
  'version'?: (number);
  '_name'?: "name";
  '_version'?: "version";
}

export interface GetBundleRequest__Output {
  'name'?: (string);
  'version'?: (number);
  '_name'?: "name";
  '_version'?: "version";
}
