import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { LOADER_OPTIONS, PROTO_FILES } from '../shared/wire/loader-options.js';
import { CODE_METADATA, statusOf } from '../shared/wire/status.js';

/** What protos/ defines, read from the files beside this program. */
export function loadPackage() {
  const includeDirs = [fileURLToPath(new URL('../protos', import.meta.url))];
  return loadSync([...PROTO_FILES], { ...LOADER_OPTIONS, includeDirs });
}

export function loadServices() {
  const loaded = loadPackage();
  const service = (name: string) => loaded[name] as grpc.ServiceDefinition;
  return {
    enrollment: service('concordat.v1.Enrollment'),
    federation: service('concordat.v1.Federation'),
    transfer: service('concordat.v1.Transfer'),
    registry: service('concordat.v1.Registry'),
    health: service('grpc.health.v1.Health'),
  };
}

/** An error as the other side gets it. */
export function rpcError(error: unknown): Partial<grpc.StatusObject> {
  const { code, details, concordatCode } = statusOf(error);
  const metadata = new grpc.Metadata();
  metadata.set(CODE_METADATA, concordatCode);
  return { code, details, metadata };
}

/** A unary method from a function of the decoded request; what it throws becomes the call's status. */
export function unary(
  answer: (call: grpc.ServerUnaryCall<unknown, unknown>) => unknown,
): grpc.handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => answer(call))
      .then(
        (value) => callback(null, value),
        (error: unknown) => callback(rpcError(error)),
      );
  };
}
