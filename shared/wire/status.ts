import { ERROR_TABLE } from '../error-table.js';
import { ConcordatError, type ErrorCode } from '../errors.js';

/** gRPC's numbers for the statuses of the error table (grpc.io/docs/guides/status-codes). */
const STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Trailing metadata that carries our code; the status alone is too coarse. */
export const CODE_METADATA = 'concordat-code';
/** Initial metadata of a health answer: the coordinator's clock in milliseconds since 1970. */
export const TIME_METADATA = 'concordat-time-ms';

export interface RpcStatus {
  readonly code: number;
  readonly details: string;
  readonly concordatCode: ErrorCode;
}

/** What the other side is told. Of an unforeseen error it learns nothing but that there was one. */
export function statusOf(error: unknown): RpcStatus {
  const known = error instanceof ConcordatError && error.code !== 'INTERNAL_BUG' ? error : null;
  if (known === null)
    return { code: STATUS.INTERNAL, details: 'an unforeseen error; the log has it', concordatCode: 'INTERNAL_BUG' };
  // Messages only: causes and problems stay on this side.
  return { code: STATUS[known.entry.grpc], details: known.message, concordatCode: known.code };
}

/** The error of a failed call as one of the table, with the other side's code where it sent one that is known here. */
export function errorOfStatus(
  code: number,
  details: string,
  concordatCode: string | undefined,
  cause?: unknown,
): ConcordatError {
  const options = cause === undefined ? {} : { cause };
  if (concordatCode !== undefined && Object.hasOwn(ERROR_TABLE, concordatCode))
    return new ConcordatError(concordatCode as ErrorCode, details, options);
  if (/certificate (has expired|is not yet valid)|CERT_(HAS_EXPIRED|NOT_YET_VALID)/i.test(details))
    return new ConcordatError('WIRE_SERVER_EXPIRED', `the server's certificate is not valid now: ${details}`, options);
  if (/certificate|self.signed|SSL routines|wrong version number|Hostname\/IP does not match/i.test(details))
    return new ConcordatError('WIRE_UNTRUSTED_SERVER', `the server could not be trusted: ${details}`, options);
  switch (code) {
    case STATUS.RESOURCE_EXHAUSTED:
      return new ConcordatError('WIRE_SIZE_EXCEEDED', details, options);
    case STATUS.UNAVAILABLE:
    case STATUS.DEADLINE_EXCEEDED:
      return new ConcordatError('WIRE_UNREACHABLE', `the coordinator does not answer: ${details}`, options);
    case STATUS.CANCELLED:
    case STATUS.ABORTED:
      return new ConcordatError('WIRE_DISCONNECTED', `the connection was closed: ${details}`, options);
    default:
      return new ConcordatError('WIRE_REFUSED', `the call failed with gRPC status ${code}: ${details}`, options);
  }
}

/** Whether the same call may well succeed a little later. */
export function isTransient(error: ConcordatError): boolean {
  return error.entry.fault === 'network' && error.code !== 'WIRE_UNTRUSTED_SERVER';
}
