import type grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import type { Access } from './rpc-access.js';
import { loadPackage, rpcError } from './rpc-services.js';

type BidiHandler = grpc.handleBidiStreamingCall<unknown, unknown>;

/**
 * gRPC server reflection (v1 and v1alpha), so that tools such as grpcurl can describe the protocol. It tells nothing that
 * protos/ does not; it asks for an enrolled certificate all the same, so that a stranger finds enrollment and health only.
 */
export function addReflection(server: grpc.Server, access: Access): void {
  const guarded = (handler: BidiHandler): BidiHandler => {
    return (call) => {
      try {
        access.site(call);
      } catch (error) {
        call.emit('error', rpcError(error));
        return;
      }
      handler(call);
    };
  };
  new ReflectionService(loadPackage()).addToServer({
    addService: (definition, implementation) =>
      server.addService(
        definition,
        Object.fromEntries(
          Object.entries(implementation).map(([name, handler]) => [name, guarded(handler as BidiHandler)]),
        ),
      ),
  });
}
