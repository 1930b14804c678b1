import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { imagingSchema } from '../../shared/imaging.js';
import { acquisitionDifferences, acquisitionOf } from '../../site-agent/imaging/acquisition.js';
import { TAG } from '../../site-agent/imaging/dicom/tags.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { readImage } from '../../site-agent/imaging/shell/read-file.js';
import { ensureFeatures } from '../../site-agent/radiomics/shell/feature-store.js';
import { type Attributes, dicomBytes, dicomFile, sliceAttributes } from '../imaging/dicom-files.js';

const THREAD = pathToFileURL(path.resolve('dist/site-agent/radiomics/shell/region-thread.js'));
const root = mkdtempSync(path.join(tmpdir(), 'concordat-acquisition-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const CT: Attributes = [
  [TAG.manufacturer, 'LO', 'Maker'],
  [TAG.manufacturerModel, 'LO', 'One'],
  [TAG.sliceThickness, 'DS', '3'],
  [TAG.kvp, 'DS', '120'],
  [TAG.convolutionKernel, 'SH', 'B30f'],
  [TAG.acquisitionTime, 'TM', '101500.5'],
  [TAG.contrastStart, 'TM', '101430'],
  [TAG.frameOfReference, 'UI', '1.2.840.99.1'],
];
const withTags = (changed: Attributes): Attributes => [
  ...CT.filter(([tag]) => !changed.some(([other]) => other === tag)),
  ...changed,
];
const stated = (changed: Attributes = []) =>
  acquisitionOf(dicomFile(sliceAttributes({ more: withTags(changed) })).dataset);

describe('how an image was made', () => {
  it('is read from DICOM, without anything of the patient', () => {
    expect(stated()).toEqual({
      modality: 'CT',
      manufacturer: 'Maker',
      model: 'One',
      sliceThicknessMm: 3,
      tubeVoltageKv: 120,
      kernel: 'B30f',
      contrastDelayS: 30.5,
      frame: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const mr: Attributes = [
      [TAG.modality, 'CS', 'MR'],
      [TAG.fieldStrength, 'DS', '1.5'],
      [TAG.scanningSequence, 'CS', 'GR'],
      [TAG.sequenceVariant, 'CS', 'SP\\OSP'],
      [TAG.echoTime, 'DS', '2.4'],
      [TAG.repetitionTime, 'DS', '5.1'],
      [TAG.flipAngle, 'DS', '12'],
      // A free text where a number belongs is not stated; a contrast start after the image is another clock.
      [TAG.inversionTime, 'DS', 'Secret^Patient'],
      [TAG.contrastStart, 'TM', '110000'],
    ];
    const found = stated(mr);
    expect(found).toMatchObject({ fieldStrengthT: 1.5, sequence: 'GR', echoTimeMs: 2.4, flipAngleDegrees: 12 });
    expect(found).not.toHaveProperty('inversionTimeMs');
    expect(found).not.toHaveProperty('contrastDelayS');
    expect(JSON.stringify(found)).not.toMatch(/Secret|4711|1\.2\.840/);
  });

  it('is compared item by item, where both images state it', () => {
    const differing = (changed: Attributes) => acquisitionDifferences(stated(), stated(changed));
    expect(differing([])).toEqual([]);
    expect(differing([[TAG.kvp, 'DS', '125']])).toEqual([]);
    const found = differing([
      [TAG.kvp, 'DS', '80'],
      [TAG.convolutionKernel, 'SH', 'B70f'],
      [TAG.manufacturerModel, 'LO', 'Two'],
      [TAG.contrastStart, 'TM', '101400'],
      [TAG.sliceThickness, 'DS', ''],
    ]);
    expect(found.map(({ text, excludes }) => [text, excludes])).toEqual([
      ['the reconstruction kernel differs (B30f, then B70f)', true],
      ['the tube voltage differs (120 kV, then 80 kV)', true],
      ['the time since contrast was given differs (30.5 s, then 60.5 s)', false],
      ['the scanner model differs (One, then Two)', false],
    ]);
  });
});

describe('a cohort of DICOM at two time points', () => {
  it('has no delta features where the acquisition differs, and says in what', async () => {
    const series = async (name: string, changed: Attributes) => {
      const folder = path.join(root, name);
      mkdirSync(folder);
      for (let z = 0; z < 3; z++) {
        const values = Array.from({ length: 36 }, (_, at) => 10 * z + (at % 7) + name.length);
        const more = withTags(changed);
        const slice = { position: [0, 0, 3 * z], rows: 6, columns: 6, spacing: [1, 1], values, more };
        writeFileSync(path.join(folder, `${z}.dcm`), dicomBytes(sliceAttributes(slice)));
      }
    };
    await series('before', []);
    await series('alike', [[TAG.manufacturerModel, 'LO', 'Two']]);
    await series('other', [[TAG.convolutionKernel, 'SH', 'B70f']]);
    await series('moved', [[TAG.frameOfReference, 'UI', '1.2.840.99.2']]);
    const { data, acquisition: _, ...grid } = await readImage(path.join(root, 'before'));
    const inside = Uint8Array.from(data, (_value, at) => (at % 6 > 0 && at % 6 < 5 ? 1 : 0));
    writeFileSync(path.join(root, 'mask.nii'), writeNifti({ ...grid, data: inside }));
    const rows = ['before', 'alike', 'other'].flatMap((after, at) => [
      `p${at},t2,base,before,mask.nii`,
      `p${at},t2,late,${after},mask.nii`,
    ]);
    rows.push('p3,t2,base,before,mask.nii', 'p3,t1,base,moved,mask.nii');
    writeFileSync(path.join(root, 'images.csv'), `case,phase,timepoint,image,mask\n${rows.join('\n')}\n`);
    const imaging = (more: Record<string, unknown>) =>
      imagingSchema.parse({
        phases: ['t2', 't1'],
        timepoints: ['base', 'late'],
        difference: [['t2', 't1']],
        settings: { imageType: { Original: {} }, featureClass: { firstorder: ['Mean'] } },
        delta: { from: 'base', to: 'late', kind: 'absolute', ...more },
      });
    const extracted = async (more: Record<string, unknown> = {}) => {
      const { rows: found, file } = await ensureFeatures(
        imaging(more),
        { folder: root, table: 'images.csv' },
        { threads: 1, threadFile: THREAD },
      );
      const values = found.map(({ features }) => features.get('delta_t2_original_firstorder_Mean')!.value);
      return { values, found, csv: readFileSync(file, 'utf8') };
    };
    const excluding = await extracted();
    expect(excluding.values.slice(0, 2)).not.toContain(null);
    expect(excluding.found[0]!.reason).not.toContain('delta');
    expect(excluding.found[1]!.reason).toMatch(/delta of t2: the scanner model differs \(One, then Two\)/);
    expect(excluding.values[2]).toBeNull();
    expect(excluding.found.map(({ status }) => status)).toEqual(['partial', 'partial', 'partial', 'partial']);
    expect(excluding.csv).toContain('no delta of t2: the reconstruction kernel differs (B30f, then B70f)');
    const kept = await extracted({ acquisition: 'remark' });
    expect(kept.values[2]).not.toBeNull();
    expect(kept.found[2]!.reason).toMatch(/delta of t2: the reconstruction kernel differs/);

    // Two phases with one mask, whose places are not the same places.
    const difference = excluding.found[3]!.features.get('base_t2-minus-t1_original_firstorder_Mean')!;
    expect(difference).toEqual({ value: null, reason: expect.stringMatching(/share a mask/) });
    expect(excluding.found[3]!.reason).toMatch(/base t2 and t1: .*different frames of reference/);

    const files = readdirSync(path.join(root, 'features'), { recursive: true, withFileTypes: true });
    const all = files.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    expect(all.length).toBeGreaterThan(6);
    for (const file of all) expect(readFileSync(file, 'utf8')).not.toMatch(/Secret|4711|1\.2\.840\.99/);
  });
});
