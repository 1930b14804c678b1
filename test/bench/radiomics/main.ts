import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { roiOf } from '../../../site-agent/imaging/roi.js';
import type { Samples } from '../../../site-agent/imaging/volume.js';
import { type ClassInput, DEFAULT_CLASS_SETTINGS } from '../../../site-agent/radiomics/class-input.js';
import { extract } from '../../../site-agent/radiomics/extract.js';
import { shape } from '../../../site-agent/radiomics/features/shape.js';
import { type IntensityClass, intensityFeatures } from '../../../site-agent/radiomics/features/texture.js';
import { parseSettings } from '../../../site-agent/radiomics/settings.js';
import { ExtractionPool } from '../../../site-agent/radiomics/shell/extraction-pool.js';
import { radiomicsFolder } from '../../support/images.js';
import { peakMemoryBytes } from '../peak-memory.js';
import { abdomenCase, type BenchCase, EXAMPLE_CT, ellipsoidCase, phantomCases } from './cases.js';

/**
 * `npm run bench:radiomics [-- --quick]`: seconds per feature class and in total, one thread, and the same work by PyRadiomics in the same
 * run where CONCORDAT_PYRADIOMICS names a python that has it. Of two runs the better counts, on both sides. The CT phantom needs
 * CONCORDAT_REFERENCE. The whole example extraction is also timed with two threads and in CPU seconds, which other work on the machine touches less. --quick leaves out the whole example extraction and the memory of a large CT. Reports; fails on nothing.
 */
const QUICK = process.argv.includes('--quick');
const PYTHON = process.env['CONCORDAT_PYRADIOMICS'];
const RUNS = 2;
const INTENSITY: readonly IntensityClass[] = ['firstorder', 'glcm', 'glrlm', 'glszm', 'gldm', 'ngtdm'];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function best(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const start = process.hrtime.bigint();
    work();
    least = Math.min(least, Number(process.hrtime.bigint() - start) / 1e9);
  }
  return least;
}

type Seconds = Record<string, number>;

function ours({ image, mask }: BenchCase): Seconds {
  const input: ClassInput = { image, roi: roiOf(mask), settings: DEFAULT_CLASS_SETTINGS };
  const seconds: Seconds = {};
  seconds['firstorder'] = best(() => intensityFeatures(input, new Map([['firstorder', null]])));
  seconds['shape'] = best(() => shape(input));
  for (const name of INTENSITY.slice(1)) seconds[name] = best(() => intensityFeatures(input, new Map([[name, null]])));
  seconds['all'] = best(() => {
    shape(input);
    intensityFeatures(input, new Map(INTENSITY.map((name) => [name, null])));
  });
  return seconds;
}

const NUMPY: Readonly<Record<string, string>> = {
  Int16Array: '<i2',
  Uint16Array: '<u2',
  Int32Array: '<i4',
  Uint8Array: '<u1',
  Float32Array: '<f4',
  Float64Array: '<f8',
};

/** PyRadiomics' seconds for the same image; null where no python is named. */
function theirs(
  { image, mask }: BenchCase,
  runs: number,
  params?: object,
): { version: string; seconds: Seconds } | null {
  if (PYTHON === undefined) return null;
  const folder = mkdtempSync(join(tmpdir(), 'concordat-bench-'));
  try {
    const bytes = (data: Samples) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    writeFileSync(join(folder, 'image'), bytes(image.data));
    writeFileSync(join(folder, 'mask'), bytes(mask.data));
    const job = {
      image: join(folder, 'image'),
      imageType: NUMPY[image.data.constructor.name],
      mask: join(folder, 'mask'),
      maskType: '<u1',
      size: image.size,
      spacingMm: image.spacingMm,
      runs,
      params,
    };
    writeFileSync(join(folder, 'job.json'), JSON.stringify(job));
    const out = execFileSync(PYTHON, ['test/bench/radiomics/pyradiomics.py', join(folder, 'job.json')], {
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
      maxBuffer: 1 << 26,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return JSON.parse(out.slice(out.lastIndexOf('{"version"'))) as { version: string; seconds: Seconds };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function table(name: string, voxels: number, mine: Seconds, other: Seconds | undefined): void {
  say(`\n${name} (${voxels.toLocaleString('en')} voxels in the region)`);
  say(`${'class'.padEnd(12)} ${'seconds'.padStart(9)} ${'PyRadiomics'.padStart(12)} ${'ratio'.padStart(7)}`);
  for (const [key, seconds] of Object.entries(mine)) {
    const reference = other?.[key];
    const [there, ratio] =
      reference === undefined ? ['', ''] : [reference.toFixed(3), `${(reference / seconds).toFixed(1)}x`];
    say(`${key.padEnd(12)} ${seconds.toFixed(3).padStart(9)} ${there.padStart(12)} ${ratio.padStart(7)}`);
  }
}

function compare(one: BenchCase): void {
  const other = theirs(one, RUNS);
  const seconds = other?.seconds;
  if (seconds !== undefined) seconds['all'] = Object.values(seconds).reduce((sum, value) => sum + value, 0);
  table(one.name, roiOf(one.mask).indices.length, ours(one), seconds);
}

/** Wall and CPU seconds of one thread, and wall seconds of two; of PyRadiomics always one thread's. */
async function whole(one: BenchCase): Promise<void> {
  const { settings } = parseSettings(JSON.stringify(EXAMPLE_CT), 'example CT');
  let features = 0;
  const mine: Seconds = {};
  const least = (name: string, seconds: number): void => {
    mine[name] = Math.min(mine[name] ?? Number.POSITIVE_INFINITY, seconds);
  };
  const pool = new ExtractionPool(2);
  for (let run = 0; run < RUNS; run++) {
    const [start, before] = [process.hrtime.bigint(), process.cpuUsage()];
    const result = extract(one, settings);
    const { user, system } = process.cpuUsage(before);
    least('one thread', Number(process.hrtime.bigint() - start) / 1e9);
    least('its CPU', (user + system) / 1e6);
    if (result.status !== 'ok') throw new Error(result.reason.message);
    features = result.features.size;
  }
  for (let run = 0; run < RUNS; run++) {
    const start = process.hrtime.bigint();
    await pool.extract(one, settings);
    least('two threads', Number(process.hrtime.bigint() - start) / 1e9);
  }
  await pool.close();
  const other = theirs(one, RUNS, EXAMPLE_CT)?.seconds;
  table(
    `${one.name}: the whole example CT extraction, ${features} features`,
    roiOf(one.mask).indices.length,
    mine,
    other && { 'one thread': other['all']!, 'its CPU': other['cpu']!, 'two threads': other['all']! },
  );
}

/** Runs in a process of its own, so that the peak is its own. */
function memory(): void {
  const one = abdomenCase();
  const { settings } = parseSettings(JSON.stringify(EXAMPLE_CT), 'example CT');
  const start = process.hrtime.bigint();
  const result = extract(one, settings);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const peakMb = peakMemoryBytes() / 2 ** 20;
  const count = result.status === 'ok' ? `${result.features.size} features` : result.reason.message;
  say(
    `\n${one.name}, ${roiOf(one.mask).indices.length.toLocaleString('en')} voxels in the region, example CT: ${count}`,
  );
  say(`peak memory ${peakMb.toFixed(0)} MB, ${seconds.toFixed(1)} s`);
}

if (process.argv.includes('--memory')) memory();
else {
  say(`${cpus()[0]?.model ?? 'processor'}, Node ${process.version}, one thread`);
  if (PYTHON === undefined) say('PyRadiomics: not compared; CONCORDAT_PYRADIOMICS can name a python that has it');
  const { whole: phantom, cases } = phantomCases(radiomicsFolder());
  for (const one of [...cases, ellipsoidCase()]) compare(one);
  if (!QUICK) {
    if (phantom !== null) await whole(phantom);
    execFileSync(process.execPath, [process.argv[1]!, '--memory'], { stdio: 'inherit' });
  }
}
