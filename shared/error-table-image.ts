import type { ErrorEntry } from './errors.js';

/** Errors of images, masks, extraction settings and features, sorted by code. */
export const IMAGE_ERRORS = {
  IMAGE_DIMENSIONS: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'One image is one volume with one number a voxel. Split a series of volumes or components into files.',
  },
  IMAGE_FORMAT_UNKNOWN: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Readable are NIfTI-1 and -2 (.nii, .nii.gz, .hdr with .img), NRRD (.nrrd, .nhdr) and DICOM. Convert the image to one of them.',
  },
  IMAGE_GEOMETRY_UNUSABLE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Features need spacing in mm along three axes at right angles. Export the image again, or resample it to such a grid first.',
  },
  IMAGE_PIXEL_TYPE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'A voxel must be one integer or floating-point number. Convert colour or complex images first.',
  },
  IMAGE_UNREADABLE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The file is damaged or not what its name says. Export it again; `concordat inspect IMAGE` lists what is wrong with it.',
  },
} as const satisfies Record<string, ErrorEntry>;
