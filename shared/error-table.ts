import { IMAGE_ERRORS } from './error-table-image.js';
import { PROTOCOL_ERRORS } from './error-table-protocol.js';
import { STUDY_ERRORS } from './error-table-study.js';

/** code -> whose fault, gRPC status, exit status and what to do. docs/errors.md is generated from it. */
export const ERROR_TABLE = { ...PROTOCOL_ERRORS, ...STUDY_ERRORS, ...IMAGE_ERRORS } as const;
