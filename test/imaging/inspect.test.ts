import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { registerInspect } from '../../cli/commands/inspect.js';
import { regionIntensities } from '../../site-agent/imaging/inspect.js';
import { writeNifti } from '../../site-agent/imaging/nifti-write.js';
import { inspectFiles } from '../../site-agent/imaging/shell/inspect-files.js';
import type { Grid } from '../../site-agent/imaging/volume.js';
import { testGrid, testVolume } from '../support/images.js';
import { dicomBytes, sliceAttributes } from './dicom-files.js';

const folder = mkdtempSync(join(tmpdir(), 'concordat-inspect-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
});

const GRID = testGrid([6, 5, 4], { spacingMm: [1, 2, 3] });

function file(name: string, grid: Grid, value: (x: number, y: number, z: number) => number): string {
  const path = join(folder, name);
  writeFileSync(path, writeNifti(testVolume(grid, Float32Array, value)));
  return path;
}

const image = file('Mueller_Anna_image.nii.gz', GRID, (x, y, z) => x + 10 * y + 100 * z);
const mask = file('mask.nii.gz', GRID, (x, y, z) => (x < 2 && y === 1 && z > 1 ? 3 : 0));

/** What the command prints, and its exit status. */
async function run(...words: string[]): Promise<{ text: string; status: number }> {
  let text = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    const program = new Command().option('--json').exitOverride();
    registerInspect(program);
    await program.parseAsync(['inspect', ...words], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  const status = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  return { text, status };
}

describe('concordat inspect', () => {
  it('shows geometry, intensities and regions, and that nothing is wrong', async () => {
    const { text, status } = await run(image, mask);
    expect(status).toBe(0);
    expect(text).toMatchInlineSnapshot(`
      "Format       NIfTI-1
      Size         6 × 5 × 4 voxels
      Spacing      1 × 2 × 3 mm
      Origin       0, 0, 0 mm (LPS)
      Axes         LPS
      Voxels       float32
      Intensities  0 to 345, mean 172.5, SD 112.7072

      Label  Name  Voxels  mm³  Slices  Min  Median   Mean       SD  Max
      ─────  ────  ──────  ───  ──────  ───  ──────  ─────  ───────  ───
          3  –          4   24       2  210   260.5  260.5  50.0025  311

      No problem found.
      "
    `);
  });

  it('tells everything that is wrong at once, and no path', async () => {
    const spoilt = file('spoilt.nii.gz', GRID, (x, y, z) => (x === 0 && z === 2 ? Number.NaN : 7 + 0 * y));
    const shifted = file('shifted.nii.gz', { ...GRID, origin: [4, 0, -9] }, (x) => (x === 1 ? 1 : 0));
    const { text, status } = await run(spoilt, shifted);
    expect(status).toBe(2);
    expect(text).toContain('5 of 120 voxels hold no number');
    expect(text).toContain('All voxels have the value 7');
    expect(text).toMatch(/IMAGE_GRID_MISMATCH\n.*axis x the mask is shifted by 4 mm \(4\s+voxels\); along axis z/);
    expect(text).not.toContain(folder);
  });

  it('gives one document with --json, with "error" where something cannot be used', async () => {
    const good = JSON.parse((await run(image, mask, '--label', '3', '--json')).text);
    expect(good).toMatchObject({
      image: { format: 'NIfTI-1' },
      mask: { labels: [3], regions: [{ voxels: 4, volumeMm3: 24 }] },
      findings: [],
    });
    expect(good.error).toBeUndefined();
    const { text, status } = await run(image, mask, '--label', '8', '--json');
    expect(status).toBe(2);
    expect(JSON.parse(text)).toMatchObject({
      image: { format: 'NIfTI-1' },
      error: {
        code: 'IMAGE_MASK_EMPTY',
        fault: 'site',
        message: 'the mask has no voxel with label 8; it has 3',
        problems: [{}],
      },
    });
  });

  it('says of a missing file that it is missing, not that it is damaged', async () => {
    for (const words of [[join(folder, 'none.nii')], [image, join(folder, 'none.nii')]])
      await expect(run(...words)).rejects.toMatchObject({ code: 'CLI_FILE_MISSING', hint: 'Check the path.' });
    const { findings } = await inspectFiles(image, join(folder, 'none.nii'));
    expect(findings).toMatchObject([{ code: 'IMAGE_UNREADABLE', message: 'the file does not exist' }]);
    expect(findings[0]!.hint).toMatch(/whether the path is right/);
  });

  it('warns of regions without texture or shape', async () => {
    const point = file('point.nii.gz', GRID, (x, y, z) =>
      x === 1 && y === 1 && z === 1 ? 1 : z === 3 && x < 2 ? 2 : 0,
    );
    const { text, status } = await run(image, point);
    expect(status).toBe(0);
    expect(text).toContain('Label 1 is one voxel');
    expect(text).toContain('Label 2 lies in one slice');
  });

  it('says nothing of the patient of a DICOM file, whatever is wrong with it', async () => {
    for (const slice of [{}, { position: null }, { rows: 60000 }, { less: [0x00280030] }]) {
      const path = join(folder, 'slice.dcm');
      writeFileSync(path, dicomBytes(sliceAttributes({ ...slice, values: [1, 2, 3, 4, 5, 6] })));
      for (const more of [[], ['--json']]) expect((await run(path, ...more)).text).not.toMatch(/Secret|4711/);
    }
  });

  it('takes percentiles as NumPy does', () => {
    expect(regionIntensities(Float64Array.of(4, 1, 3, 2))).toMatchObject({
      p10: 1.3,
      median: 2.5,
      p90: 3.7,
      sd: Math.sqrt(1.25),
    });
  });
});
