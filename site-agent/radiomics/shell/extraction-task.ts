import type { ErrorCode } from '../../../shared/errors.js';
import type { Roi } from '../../imaging/roi.js';
import type { Volume } from '../../imaging/volume.js';
import { imageFeatures, imageMaps, type Named, shapeFeatures } from '../extract.js';
import { type FilterUnit, filteredImages } from '../filter-units.js';
import type { FilteredImage } from '../filters/filter.js';
import type { EnabledClass, ExtractionSettings, VoxelSettings } from '../settings.js';

/** One piece of an extraction that a thread does; arrays lie in shared memory, so nothing large is copied. */
export type ExtractionTask =
  | {
      readonly kind: 'shape';
      readonly image: Volume;
      readonly roi: Roi;
      readonly shapeRoi: Roi;
      readonly settings: ExtractionSettings;
    }
  /** Filters, and where the unit gives a single image, its features too. */
  | {
      readonly kind: 'filter';
      readonly image: Volume;
      readonly roi: Roi;
      /** The same region on its own box. */
      readonly onBox: Roi;
      readonly unit: FilterUnit;
      readonly enabled: readonly EnabledClass[];
    }
  | {
      readonly kind: 'features';
      readonly onBox: Roi;
      readonly filtered: FilteredImage;
      readonly unit: FilterUnit;
      readonly enabled: readonly EnabledClass[];
    }
  /** Maps of the features of a unit's images. */
  | {
      readonly kind: 'maps';
      readonly image: Volume;
      readonly roi: Roi;
      readonly unit: FilterUnit;
      readonly enabled: readonly EnabledClass[];
      readonly voxel: VoxelSettings;
    };

/**
 * Which of a case's tasks begin first, the lowest number: filters whose images become tasks of their own, then filters with their image's
 * features, the longest tasks, and at the end those whose length hardly matters to when the last thread is done.
 */
export function urgencyOf(task: ExtractionTask): number {
  if (task.kind === 'filter' || task.kind === 'maps') {
    const { type } = task.unit;
    return type === 'Wavelet' || type === 'LBP3D' ? 0 : type === 'LoG' ? 1 : 2;
  }
  return task.kind === 'features' ? 3 : 4;
}

export interface TaskResult {
  readonly named: Named;
  /** Images whose features are still to be computed, each by any thread. */
  readonly pending: readonly FilteredImage[];
  readonly maps: readonly FilteredImage[];
  readonly notes: readonly string[];
}

export type TaskAnswer =
  | { readonly result: TaskResult }
  | { readonly error: { readonly code: ErrorCode | null; readonly message: string } };

export function runTask(task: ExtractionTask): TaskResult {
  const notes: string[] = [];
  const note = (reason: string): void => void notes.push(reason);
  switch (task.kind) {
    case 'shape':
      return { named: shapeFeatures(task, task.settings, note), pending: [], maps: [], notes };
    case 'features':
      return {
        named: imageFeatures(task.onBox, task.filtered, task.unit.classes, task.enabled),
        pending: [],
        maps: [],
        notes,
      };
    case 'maps': {
      const { roi, unit, enabled, voxel } = task;
      const images = [...filteredImages(task, unit, note, voxel.kernelRadius)];
      const maps = images.flatMap((image) => imageMaps(roi, image, unit.classes, enabled, voxel));
      return { named: [], pending: [], maps: maps.map(inSharedMemory), notes };
    }
    case 'filter': {
      const images = [...filteredImages(task, task.unit, note)];
      if (images.length !== 1) return { named: [], pending: images.map(inSharedMemory), maps: [], notes };
      const named = imageFeatures(task.onBox, images[0]!, task.unit.classes, task.enabled);
      return { named, pending: [], maps: [], notes };
    }
  }
}

function inSharedMemory({ name, volume }: FilteredImage): FilteredImage {
  return { name, volume: sharedVolume(volume) };
}

/** The volume with its samples in shared memory. */
export function sharedVolume<V extends Volume>(volume: V): V {
  const { data } = volume;
  const Samples = data.constructor as new (buffer: SharedArrayBuffer) => typeof data;
  const copy = new Samples(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return { ...volume, data: copy };
}

/** The region with its indices in shared memory. */
export function sharedRoi<R extends Roi>(roi: R): R {
  const indices = new Int32Array(new SharedArrayBuffer(roi.indices.byteLength));
  indices.set(roi.indices);
  return { ...roi, indices };
}
