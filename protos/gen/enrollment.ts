import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { EnrollRequest as _concordat_v1_EnrollRequest, EnrollRequest__Output as _concordat_v1_EnrollRequest__Output } from './concordat/v1/EnrollRequest.js';
import type { EnrollResponse as _concordat_v1_EnrollResponse, EnrollResponse__Output as _concordat_v1_EnrollResponse__Output } from './concordat/v1/EnrollResponse.js';
import type { EnrollmentClient as _concordat_v1_EnrollmentClient, EnrollmentDefinition as _concordat_v1_EnrollmentDefinition } from './concordat/v1/Enrollment.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  concordat: {
    v1: {
      EnrollRequest: MessageTypeDefinition<_concordat_v1_EnrollRequest, _concordat_v1_EnrollRequest__Output>
      EnrollResponse: MessageTypeDefinition<_concordat_v1_EnrollResponse, _concordat_v1_EnrollResponse__Output>
      Enrollment: SubtypeConstructor<typeof grpc.Client, _concordat_v1_EnrollmentClient> & { service: _concordat_v1_EnrollmentDefinition }
    }
  }
}

