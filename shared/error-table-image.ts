import type { ErrorEntry } from './errors.js';

/** Errors of images, masks, extraction settings and features, sorted by code. */
export const IMAGE_ERRORS = {
  IMAGE_CODEC_UNSUPPORTED: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The compression of this DICOM file is not supported. Export it uncompressed, or with JPEG, JPEG-LS, JPEG 2000 or RLE.',
  },
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
  IMAGE_LABEL_UNKNOWN: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Choose with --label a segment or ROI that the file has.',
  },
  IMAGE_MASK_EMPTY: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Choose with --label a label that the mask has; a mask without any voxel is no lesion.',
  },
  IMAGE_MASK_NOT_LABELS: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'A mask holds whole numbers: 0 outside, a label inside. Set a threshold on probabilities first.',
  },
  IMAGE_PIXEL_TYPE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'A voxel must be one integer or floating-point number. Convert colour or complex images first.',
  },
  IMAGE_ROI_NOT_FLAT: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The class shape2D is of a region in a single slice. Segment one slice, or leave shape2D out and use shape.',
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
  IMAGE_SERIES_AMBIGUOUS: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Choose one by its number with --series, or keep one series in a folder.',
  },
  IMAGE_SETTINGS_INVALID: {
    fault: 'user',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Every problem is listed with its key. Keys and values are those of a PyRadiomics parameter file.',
  },
  IMAGE_SLICES_DIFFER: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Slices of one image have one size, spacing and orientation. Take localizers and other acquisitions out of the folder.',
  },
  IMAGE_SLICES_DUPLICATE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Each position is there once in an image. Remove double files, or split phases and time points into folders.',
  },
  IMAGE_SLICES_SHEARED: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Features need slices one above the other. Resample the series to a straight grid first.',
  },
  IMAGE_SLICES_UNEVEN: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Export the whole series again: no slice is made up from its neighbours.',
  },
  IMAGE_TAG_MISSING: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'Without this attribute the image cannot be placed or read. Export the series again, without removing it.',
  },
  IMAGE_UNREADABLE: {
    fault: 'site',
    grpc: 'INVALID_ARGUMENT',
    exit: 2,
    hint: 'The file is damaged or not what its name says. Export it again; `concordat inspect IMAGE` lists what is wrong with it.',
  },
} as const satisfies Record<string, ErrorEntry>;
