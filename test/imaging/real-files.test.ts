import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectionText } from '../../cli/inspect-text.js';
import { parseDicom } from '../../site-agent/imaging/dicom/parse.js';
import { labelsOf } from '../../site-agent/imaging/labels.js';
import { type Inspection, inspectFiles } from '../../site-agent/imaging/shell/inspect-files.js';
import { dicomFiles, readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { imagesFolder } from '../support/images.js';
import { readJson } from '../support/reference.js';

/**
 * Every file of a folder that comes with expected facts, whatever files they are: the facts were computed by pydicom with GDCM, nibabel and
 * an independent NRRD reader.
 */
interface Expected {
  readonly kind: 'dicom' | 'nifti' | 'nrrd' | '?';
  readonly shape?: readonly number[];
  readonly dtype?: string;
  readonly zooms?: readonly number[];
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  readonly error_in_nibabel?: string;
  readonly pixel_error?: string;
  readonly sizes?: string;
  readonly type?: string;
  readonly origin?: string;
  readonly directions?: string;
  readonly labels?: Record<string, number>;
  readonly modality?: string;
  readonly transfer_syntax?: string;
  readonly rows?: number | null;
  readonly cols?: number | null;
  readonly frames?: string;
  readonly bits?: number | null;
  readonly signed?: number | null;
  readonly slope?: string;
  readonly intercept?: string;
  readonly voxels?: Record<string, number>;
  readonly segments?: Record<string, string>;
  readonly frames_per_segment?: Record<string, number>;
  readonly sum_values?: Record<string, number>;
  readonly rois?: Record<string, { contours: number; sum_area_mm2: number }>;
}

const folder = imagesFolder() ?? '';
const at = (...path: string[]): string => join(folder, ...path);
const errorsOf = ({ findings }: Inspection) => findings.filter(({ severity }) => severity === 'error');
const facts = <T>(name: string): [string, T][] =>
  folder === '' ? [] : Object.entries(readJson(at(name)) as Record<string, T>);
const near = (got: number | null | undefined, want: number, rel = 1e-6): void =>
  expect(Math.abs(got! - want), `${got} for ${want}`).toBeLessThanOrEqual(rel * Math.abs(want) + 1e-9);
const nullable = (text: string | undefined): number | null => (text === undefined || text === '' ? null : Number(text));

const DTYPES: Record<string, string> = {
  i1: 'int8',
  u1: 'uint8',
  i2: 'int16',
  u2: 'uint16',
  i4: 'int32',
  u4: 'uint32',
  f4: 'float32',
  f8: 'float64',
};

describe.runIf(folder !== '')('real files give their expected facts', () => {
  it.each(facts<Expected>('expected_real_files.json'))('%s', async (file, want) => {
    const inspection = await inspectFiles(at(file));
    const image = inspection.image;
    if (want.error_in_nibabel !== undefined) {
      expect(errorsOf(inspection)).not.toEqual([]);
      return;
    }
    if (want.kind === '?') return;
    if (want.min !== undefined) {
      // A scaled NIfTI is float32 here, as in ITK, and float64 in nibabel.
      near(image!.intensities!.min, want.min, 1e-6);
      near(image!.intensities!.max, want.max!, 1e-6);
      near(image!.intensities!.mean, want.mean!, 1e-6);
    }
    if (want.kind === 'nifti') {
      expect(image!.size).toEqual(want.shape);
      expect(image!.storedType).toBe(DTYPES[want.dtype!.replace(/^[<>|]/, '')] ?? want.dtype);
      for (let axis = 0; axis < 3; axis++) near(image!.grid!.spacingMm[axis], want.zooms![axis]!);
    } else if (want.kind === 'nrrd') wantNrrd(file, want, inspection);
    else wantDicom(want, inspection);
  });

  function wantNrrd(file: string, want: Expected, { image }: Inspection): void {
    const numbers = (text: string): number[] =>
      [...text.matchAll(/-?[\d.]+(e-?\d+)?/g)].map(([value]) => Number(value));
    expect(image!.size!.join(' ')).toBe(want.sizes);
    expect(image!.pixelType).toBe({ short: 'int16', 'unsigned char': 'uint8' }[want.type!] ?? want.type);
    expect(image!.grid!.origin).toEqual(numbers(want.origin!));
    const { direction, spacingMm } = image!.grid!;
    numbers(want.directions!).forEach((value, i) => {
      const [axis, row] = [Math.floor(i / 3), i % 3];
      near(direction[3 * row + axis]! * spacingMm[axis]!, value, 1e-12);
    });
    const volume = readImageFile(at(file));
    const labels = Object.fromEntries(labelsOf(volume));
    const background = volume.data.length - Object.values(labels).reduce((sum, count) => sum + count, 0);
    expect({ 0: background, ...labels }).toEqual(want.labels);
  }

  function wantDicom(want: Expected, inspection: Inspection): void {
    const { dicom, segments, structures } = inspection.image ?? { dicom: null, segments: null, structures: null };
    if (dicom === null) {
      // Nothing could be read of it: only where the reference could not either.
      expect(want.pixel_error).toBeDefined();
      expect(errorsOf(inspection)).not.toEqual([]);
      return;
    }
    expect(dicom).toMatchObject({
      modality: want.modality === '' ? null : want.modality,
      transferSyntax: want.transfer_syntax,
      rows: want.rows,
      columns: want.cols,
      frames: want.frames,
      bitsAllocated: want.bits,
      signed: want.signed === null ? null : want.signed === 1,
      slope: nullable(want.slope),
      intercept: nullable(want.intercept),
    });
    if (want.pixel_error !== undefined) expect(errorsOf(inspection)).not.toEqual([]);
    for (const [label, name] of Object.entries(want.voxels === undefined ? {} : want.segments!))
      expect(segments!.find((segment) => segment.label === Number(label))).toMatchObject({
        name,
        voxels: want.voxels![label],
        frames: want.frames_per_segment![label],
        ...(want.sum_values === undefined ? {} : { sum: want.sum_values[label] }),
      });
    for (const [name, roi] of Object.entries(want.rois ?? {})) {
      const found = structures!.find((structure) => structure.name === name)!;
      expect(found.contours).toBe(roi.contours);
      near(found.areaMm2, roi.sum_area_mm2, 1e-9);
    }
  }
});

describe.runIf(folder !== '')('broken files behave as expected', () => {
  it.each(facts<{ why: string; expect: string }>('corrupt/expected.json'))(
    '%s',
    async (file, { expect: behaviour }) => {
      const isMask = file.startsWith('mask_');
      const inspection = await inspectFiles(
        at('corrupt', isMask ? 'image_ok.nii.gz' : file),
        isMask ? at('corrupt', file) : undefined,
      );
      const errors = errorsOf(inspection);
      for (const { code } of errors) expect(code).toMatch(/^IMAGE_/);
      if (/PHI/.test(behaviour)) {
        expect(errors).toEqual([]);
        expectNoPatient(at('corrupt', file), inspection);
      } else if (/^error$|^error naming|^asks/.test(behaviour)) {
        expect(errors).not.toEqual([]);
        if (/naming the tag/.test(behaviour)) expect(errors[0]!.message).toMatch(/\([0-9A-F]{4},[0-9A-F]{4}\)/);
        if (/empty mask/.test(behaviour)) expect(errors[0]!.message).toMatch(/mask is empty/);
      } else if (/never NaN/.test(behaviour))
        expect(errors.length > 0 || inspection.image!.intensities!.notFinite === 0).toBe(true);
      else expect(inspection.findings).not.toEqual([]);
      // An error that stops the image leaves it without a grid to compute on.
      if (!isMask && errors.length > 0) expect(inspection.image?.grid ?? null).toBeNull();
    },
  );

  /** No text of the patient module (group 0010) is in anything that is said. */
  function expectNoPatient(path: string, inspection: Inspection): void {
    const said = JSON.stringify(inspection) + inspectionText(inspection);
    const files = statSync(path).isDirectory()
      ? dicomFiles(path).map(({ file }) => file)
      : [parseDicom(new Uint8Array(0))];
    let values = 0;
    for (const { dataset } of files)
      for (let element = 0; element < 0x4000; element++) {
        const text = dataset.text(0x00100000 + element);
        if (text === null || text.length < 4) continue;
        values++;
        expect(said).not.toContain(text);
      }
    expect(values).toBeGreaterThan(0);
  }
});

interface RegionExpected {
  readonly n?: number;
  readonly mean: number;
  readonly sd_population: number;
  readonly min: number;
  readonly max: number;
  readonly p10: number;
  readonly median: number;
  readonly p90: number;
}

describe.runIf(folder !== '' && existsSync(at('nifti_variants_ct')))('one CT in many NIfTI forms', () => {
  interface Variants {
    readonly values_in_label: RegionExpected;
    readonly shape: readonly number[];
    readonly zooms: readonly number[];
    readonly files: Record<string, { label_file?: string; n_nan_in_label?: number }>;
  }
  const variants = folder === '' ? null : (readJson(at('nifti_variants_ct', 'expected.json')) as Variants);
  it.each(Object.entries(variants?.files ?? {}))(
    '%s has the same values in the liver',
    async (file, { label_file, n_nan_in_label }) => {
      const { image, mask, findings } = await inspectFiles(
        at('nifti_variants_ct', file),
        at('nifti_variants_ct', label_file ?? 'label.nii.gz'),
      );
      const [region] = mask!.regions;
      const want = variants!.values_in_label;
      expect(image!.grid!.size).toEqual(variants!.shape);
      expect(region!.voxels).toBe(want.n);
      if (n_nan_in_label !== undefined) {
        expect(region!.intensities.notFinite).toBe(n_nan_in_label);
        expect(findings.map(({ message }) => message).join()).toContain(
          `${n_nan_in_label} of ${want.n} voxels hold no number`,
        );
        return;
      }
      expect(findings).toEqual([]);
      const { min, max, mean, sd, p10, median, p90 } = region!.intensities;
      expect([min, max, p10, median, p90]).toEqual([want.min, want.max, want.p10, want.median, want.p90]);
      near(mean, want.mean, 1e-12);
      near(sd, want.sd_population, 1e-12);
    },
  );

  it('a mask in another order of voxels is refused, not matched by index', async () => {
    const { findings } = await inspectFiles(
      at('nifti_variants_ct/int16.nii.gz'),
      at('nifti_variants_ct/label_LPS.nii.gz'),
    );
    expect(findings[0]).toMatchObject({ code: 'IMAGE_GRID_MISMATCH', what: 'mask' });
    expect(findings[0]!.message).toMatch(/axis x runs against/);
  });
});

describe.runIf(folder !== '' && existsSync(at('hcc048_ct_part_a')))(
  'a liver CT whose files are not in slice order',
  () => {
    interface Liver {
      readonly n_slices: number;
      readonly spacing: readonly number[];
      readonly first_ipp: readonly number[];
      readonly whole_volume: { readonly min: number; readonly max: number; readonly mean: number };
      readonly rtstruct_polygon_volume_mm3: number;
      readonly expected: Record<
        string,
        {
          n_voxels: number;
          volume_mm3: number;
          mean_HU: number;
          sd_HU_population: number;
          min_HU: number;
          max_HU: number;
          p10: number;
          median: number;
          p90: number;
          bbox_zyx: readonly (readonly number[])[];
          slices: number;
        }
      >;
    }
    const liver = (): Liver => readJson(at('hcc048_ct_part_a/expected.json')) as Liver;
    const inspected = (mask: string) => inspectFiles(at('hcc048_ct_part_a/ct'), at('hcc048_ct_part_a', mask));

    it.each(['seg_synthetic.dcm', 'labels_synthetic.nii.gz'])('has its regions by %s', async (mask) => {
      const want = liver();
      const { image, mask: regions, findings } = await inspected(mask);
      expect(findings).toEqual([]);
      expect(image!.grid).toMatchObject({ spacingMm: want.spacing, origin: want.first_ipp });
      expect(image!.size![2]).toBe(want.n_slices);
      near(image!.intensities!.mean, want.whole_volume.mean, 1e-12);
      Object.values(want.expected).forEach((region, i) => {
        const got = regions!.regions[i]!;
        expect([got.voxels, got.slices, got.intensities.min, got.intensities.max]).toEqual([
          region.n_voxels,
          region.slices,
          region.min_HU,
          region.max_HU,
        ]);
        expect([got.intensities.p10, got.intensities.median, got.intensities.p90]).toEqual([
          region.p10,
          region.median,
          region.p90,
        ]);
        expect([got.box.lower, got.box.upper].map((corner) => [...corner].reverse())).toEqual(region.bbox_zyx);
        near(got.volumeMm3, region.volume_mm3, 1e-12);
        near(got.intensities.mean, region.mean_HU, 1e-12);
        near(got.intensities.sd, region.sd_HU_population, 1e-12);
      });
    });

    it('has the volume of its RTSTRUCT’s polygons to half a voxel along the outline', async () => {
      const { mask } = await inspected('rtstruct_synthetic.dcm');
      near(mask!.regions[0]!.volumeMm3, liver().rtstruct_polygon_volume_mm3, 0.005);
    });
  },
);
