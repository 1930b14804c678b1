import type { ErrorEntry } from './errors.js';

/** Errors of images, masks, extraction settings and features, sorted by code. */
export const IMAGE_ERRORS = {
  IMAGE_UNREADABLE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The file is damaged or not what its name says. Export it again; `concordat inspect IMAGE` lists what is wrong with it.',
  },
} as const satisfies Record<string, ErrorEntry>;
