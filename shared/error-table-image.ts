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
  IMAGE_GRID_MISMATCH: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Mask and image must lie on one grid. `--resample-mask` takes the mask to the image by nearest neighbour; geometryTolerance allows small differences.',
  },
  IMAGE_LABEL_ABSENT: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The mask has no voxel of this label. Give one of the labels that the message names: `--label N`, or `label` in the parameter file.',
  },
  IMAGE_PIXEL_TYPE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'A voxel must be one integer or floating-point number. Convert colour or complex images first.',
  },
  IMAGE_ROI_OUTSIDE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The region reaches beyond the image. See whether mask and image belong together: `concordat inspect IMAGE MASK`.',
  },
  IMAGE_ROI_TOO_SMALL: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The region is smaller than the parameter file asks (minimumROIDimensions, minimumROISize), or resegmentation left too little of it.',
  },
  IMAGE_SETTINGS_INVALID: {
    fault: 'user',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Every problem is listed with its key. Keys and values are those of a PyRadiomics parameter file.',
  },
  IMAGE_UNREADABLE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The file is damaged or not what its name says. Export it again; `concordat inspect IMAGE` lists what is wrong with it.',
  },
} as const satisfies Record<string, ErrorEntry>;
