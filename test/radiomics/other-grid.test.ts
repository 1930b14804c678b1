import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { extractOne } from '../../cli/extract-one.js';
import { TAG } from '../../site-agent/imaging/dicom/tags.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import type { KeptRegion } from '../../site-agent/radiomics/region-task.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { RegionExtraction } from '../../site-agent/radiomics/shell/cohort-extraction.js';
import { type Attributes, dicomBytes, sliceAttributes } from '../imaging/dicom-files.js';
import { testGrid, testVolume } from '../support/images.js';

/** One region on a grid of half the image's resolution, as labels and as a DICOM SEG: refused, or taken to the image when asked. */
const THREAD = pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js'));
const IMAGE = testVolume(testGrid([12, 10, 8]), Int16Array, (x, y, z) => 3 * x + 5 * y + 7 * ((z * x) % 4));
const COARSE = testGrid([6, 5, 4], { spacingMm: [2, 2, 2], origin: [0.5, 0.5, 0.5] });
const inside = (x: number, y: number, z: number): boolean => x > 0 && x < 5 && y > 1 && y < 4 && z > 0 && z < 3;
const VOXELS = 8 * 4 * 2 * 2;

let folder: string;
const file = (name: string): string => path.join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'concordat-grids-'));
  writeFileSync(file('image.nii.gz'), writeNifti(IMAGE));
  const labels = testVolume(COARSE, Uint8Array, (x, y, z) => (inside(x, y, z) ? 1 : 0));
  writeFileSync(file('labels.nii.gz'), writeNifti(labels));
  writeFileSync(
    file('seg.dcm'),
    dicomBytes(segmentation([1, 2].map((z) => [...labels.data.slice(30 * z, 30 * z + 30)]))),
  );
  for (const correctMask of [true, false]) writeFileSync(file(`${correctMask}.yaml`), settingsText(correctMask));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const settingsText = (correctMask: boolean): string =>
  `imageType: {Original: {}}\nfeatureClass: {firstorder: [Mean, Energy], shape: [VoxelVolume]}\nsetting: {correctMask: ${correctMask}}\n`;

const item = (tag: number, vr: string, value: string | number): readonly Attributes[] => [[[tag, vr, value]]];

/** Frames of one segment at slices 1 and on of the coarse grid. */
function segmentation(frames: readonly (readonly number[])[]): Attributes {
  return sliceAttributes({
    position: null,
    columns: 6,
    rows: 5,
    bits: [8, 8, 7],
    signed: false,
    pixels: Uint8Array.from(frames.flat()),
    less: [TAG.orientation, TAG.pixelSpacing],
    more: [
      [TAG.sopClass, 'UI', '1.2.840.10008.5.1.4.1.1.66.4'],
      [TAG.modality, 'CS', 'SEG'],
      [TAG.frames, 'IS', String(frames.length)],
      [TAG.segmentationType, 'CS', 'FRACTIONAL'],
      [TAG.maximumFraction, 'US', 1],
      [TAG.segments, 'SQ', item(TAG.segmentNumber, 'US', 1)],
      [
        TAG.sharedGroups,
        'SQ',
        [
          [
            [TAG.planeOrientation, 'SQ', item(TAG.orientation, 'DS', '1\\0\\0\\0\\1\\0')],
            [TAG.pixelMeasures, 'SQ', item(TAG.pixelSpacing, 'DS', '2\\2')],
            [TAG.segmentIdentification, 'SQ', item(TAG.referencedSegment, 'US', 1)],
          ],
        ],
      ],
      [
        TAG.frameGroups,
        'SQ',
        frames.map(
          (_, z): Attributes => [[TAG.planePosition, 'SQ', item(TAG.position, 'DS', `0.5\\0.5\\${0.5 + 2 * (z + 1)}`)]],
        ),
      ],
    ],
  });
}

const one = (mask: string, resampleMask: boolean, profile: 'pyradiomics' | 'ibsi' = 'pyradiomics') =>
  extractOne({
    image: file('image.nii.gz'),
    mask: file(mask),
    profile,
    name: { case: '1', phase: '', timepoint: '' },
    resampleMask,
    threads: 1,
    progress: () => undefined,
    ...(profile === 'ibsi' ? {} : { params: file('false.yaml') }),
  });

it.each(['labels.nii.gz', 'seg.dcm'])(
  'a mask on another grid (%s) is refused, and taken to the image when asked',
  async (mask) => {
    expect((await one(mask, false)).failure).toMatchObject({ code: 'IMAGE_GRID_MISMATCH' });
    const [row] = (await one(mask, true)).document as [{ features: Record<string, { value: number }> }];
    expect(row.features['original_shape_VoxelVolume']!.value).toBe(VOXELS);
    expect((await one(mask, false, 'ibsi')).failure).toMatchObject({ code: 'IMAGE_GRID_MISMATCH' });
    expect((await one(mask, true, 'ibsi')).failure).toBeNull();
  },
);

it('a cohort takes it to the image where the settings say so, to the same features', async () => {
  const kept = async (mask: string, correctMask: boolean): Promise<KeptRegion> => {
    const regions = new RegionExtraction(
      { profile: 'pyradiomics', settings: parseSettings(settingsText(correctMask), 's.yaml').settings },
      { folder, store: file('features'), threads: 1, threadFile: THREAD },
      () => `digest ${correctMask}`,
    );
    const files = { image: 'image.nii.gz', mask, organ: 'labels.nii.gz', organLabel: 1, label: 1 };
    const row = { ...files, case: 'c', phase: '', timepoint: '', date: null, reader: '', lesion: '' };
    try {
      return await regions.of(row, { name: 'lesion', kind: 'lesion', withinOrgan: true }, '');
    } finally {
      await regions.close();
    }
  };
  expect(await kept('labels.nii.gz', false)).toMatchObject({ reason: { code: 'IMAGE_GRID_MISMATCH' } });
  const [alone] = (await one('seg.dcm', true)).document as [{ features: Record<string, { value: number }> }];
  for (const mask of ['labels.nii.gz', 'seg.dcm']) {
    const found = await kept(mask, true);
    if (found.status === 'failed') throw new Error(found.reason.code);
    expect(found.features.map(([name, { value }]) => [name, value])).toEqual(
      Object.entries(alone.features).map(([name, { value }]) => [name, value]),
    );
  }
}, 30_000);
