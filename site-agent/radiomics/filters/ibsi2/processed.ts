import { growBox } from '../../../imaging/crop.js';
import { boxSize } from '../../../imaging/lines.js';
import { type Box, type Roi, roiOfIndices } from '../../../imaging/roi.js';
import type { Vec3 } from '../../../imaging/volume.js';
import type { Processed } from '../../ibsi/preprocess.js';
import { ibsi2Response } from './response.js';
import type { Ibsi2Settings } from './settings.js';

/** Local intensity looks at a sphere of 1 cm³, of radius 6.2 mm, around a voxel. */
const SURROUNDINGS_MM = 6.3;

/**
 * A processed image with its response map in place of the intensities, cropped to the region and what local intensity sees around it.
 * The masks stay what re-segmentation by the unfiltered intensities made them, and its range says nothing about a response.
 */
export function filteredProcessed(processed: Processed, settings: Ibsi2Settings): Processed {
  const { image, morphological, intensity } = processed;
  if (morphological.box === null) return { ...processed, range: null };
  const margin = image.spacingMm.map((mm) => Math.ceil(SURROUNDINGS_MM / mm)) as unknown as Vec3;
  const box = growBox(morphological.box, margin, image.size);
  const response = ibsi2Response(image, settings, box);
  return {
    image: response,
    morphological: within(morphological, box),
    intensity: within(intensity, box),
    range: null,
  };
}

function within(roi: Roi, box: Box): Roi {
  const [nx, ny] = roi.grid.size;
  const [bx, by] = boxSize(box);
  const indices = roi.indices.map((index) => {
    const x = (index % nx) - box.lower[0];
    const y = (Math.floor(index / nx) % ny) - box.lower[1];
    const z = Math.floor(index / (nx * ny)) - box.lower[2];
    return x + bx * (y + by * z);
  });
  return roiOfIndices({ ...roi.grid, size: boxSize(box) }, indices);
}
