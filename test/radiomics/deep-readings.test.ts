import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { cohortMeasurements } from '../../cli/stability.js';
import { perturbationSchema } from '../../shared/perturbation.js';
import { parseStudy } from '../../shared/study-parse.js';
import { readTable } from '../../site-agent/cohort-files.js';
import { perturbed } from '../../site-agent/radiomics/perturb/perturb.js';
import { ensureFeatures } from '../../site-agent/radiomics/shell/feature-store.js';
import { writeQualityReport } from '../../site-agent/radiomics/shell/quality-report.js';
import { ensureRepeats, readRepeats } from '../../site-agent/radiomics/shell/repeat-store.js';
import {
  encoder,
  how,
  putModel,
  SETTINGS,
  type TinyRow,
  tinyImage,
  tinyMask,
  twin,
  writeTinySite,
} from './deep-sites.js';
import { sha256Of } from './tiny-models.js';

const root = mkdtempSync(path.join(tmpdir(), 'concordat-deep-readings-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('deep features of repeated readings', () => {
  const folder = path.join(root, 'readings');
  const readers: TinyRow[] = ['one', 'two', 'three'].flatMap((id) => {
    const image = tinyImage(id);
    return ['', 'second'].map((reader) => ({
      case: id,
      phase: 'arterial',
      image,
      reader,
      mask: tinyMask(reader === '' ? 0 : 2),
    }));
  });
  writeTinySite(folder, readers, [{ id: 'one' }, { id: 'two' }, { id: 'three' }]);
  putModel(folder);

  const place = { folder, table: 'images.csv' };
  const studyText = (source: object) =>
    stringify({
      concordat: 1,
      name: 'readings',
      cohort: { endpoint: { type: 'binary', column: 'mvi' }, features: ['arterial_deep_tiny_0'] },
      imaging: { phases: ['arterial'], settings: SETTINGS, deep: [encoder()] },
      sites: { training: ['alder', 'birch', 'cedar'] },
      selection: { stability: { minimum: 0.5, repeats: 2, source } },
      model: { type: 'logistic' },
      validation: { folds: 2 },
    });
  const studyOf = (source: object) => parseStudy(studyText(source), 'study.yaml');

  it('are of the perturbed image and mask, and stand in the quality report', async () => {
    const amounts = { translateMm: 2, noise: 1 };
    const study = studyOf({ type: 'perturbations', ...amounts });
    await ensureFeatures(study.imaging!, place, how);
    await ensureRepeats(study, place, how);
    const table = readRepeats(study, place)!;
    const at = table.header.indexOf('arterial_deep_tiny_0');
    const files = readTable(path.join(folder, 'images.csv'));
    for (const [id, reading, ...cells] of table.rows) {
      const row = readers.findIndex((one) => one.case === id && one.reader === '');
      const { image, mask } = readers[row]!;
      const [imageFile, maskFile] = ['image', 'mask'].map((name) => files.rows[row]![files.header.indexOf(name)]!);
      const digest = (name: string) => sha256Of(readFileSync(path.join(folder, name)));
      const seed = {
        seed: study.seed,
        reading: Number(reading),
        lesion: `${digest(maskFile!)} 1`,
        image: digest(imageFile!),
      };
      const lesion = { ...mask, data: mask.data.map((value) => (value === 1 ? 1 : 0)) };
      const seen = perturbed({ image: image!, lesion, organ: null }, perturbationSchema.parse(amounts), seed);
      const [expected, drawn] = [twin(seen.image, seen.lesion), twin(image!, mask)];
      for (const [k, value] of expected.entries()) expect(Number(cells[at - 2 + k])).toBeCloseTo(value, 5);
      expect(Math.max(...expected.map((value, k) => Math.abs(value - drawn[k]!)))).toBeGreaterThan(0.01);
    }
    writeFileSync(path.join(folder, 'study.yaml'), studyText({ type: 'readers' }));
    const report = await writeQualityReport({
      cohort: path.join(folder, 'cohort.yaml'),
      study: path.join(folder, 'study.yaml'),
      out: path.join(folder, 'quality'),
      threads: 1,
      at: '2026-11-21',
      onCase: () => undefined,
      onExtracted: () => undefined,
    });
    expect(report.features!.list.map(({ name }) => name)).toEqual([
      'arterial_original_firstorder_Mean',
      ...[0, 1, 2].map((index) => `arterial_deep_tiny_${index}`),
    ]);
  });

  it('follow the mask of each reader in a study, and in `concordat stability`', async () => {
    const study = studyOf({ type: 'readers' });
    await ensureRepeats(study, place, how);
    const table = readRepeats(study, place)!;
    const at = table.header.indexOf('arterial_deep_tiny_0');
    const cells = table.rows.map((row) => [row[0], row[1], Number(row[at])] as const);
    for (const { case: id, image, mask, reader } of readers) {
      const [expected] = twin(image!, mask);
      const cell = cells.find((one) => one[0] === id && one[1] === (reader === '' ? '1' : '2'))!;
      expect(cell[2]).toBeCloseTo(expected!, 5);
    }
    const file = path.join(folder, 'deep.yaml');
    const { features: _, ...plain } = encoder({ encoder: 'models/tiny.onnx' });
    writeFileSync(file, stringify({ concordat: 1, deep: plain }));
    const { measurements } = await cohortMeasurements({
      cohort: path.join(folder, 'cohort.yaml'),
      deep: file,
      perturbation: null,
      repeats: 2,
      seed: 1,
      onReading: () => undefined,
      ...how,
    });
    expect(measurements.map((one) => one.features.get('deep_tiny_0')).sort()).toEqual(
      cells.map((cell) => cell[2]).sort(),
    );
  });
});
