import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PROGRAM_VERSION } from '../../cli/version.js';
import { makeSample, SAMPLES, sampleBytes } from './sample.js';

/** `npm run sample-formats`: writes the sample of this release. A sample of a release that was published is never replaced. */
const file = path.join(SAMPLES, `${PROGRAM_VERSION}.json.gz`);
if (existsSync(file) && !process.argv.includes('--replace')) {
  process.stderr.write(`${file} is there; a release that was not published yet may be written again with --replace\n`);
  process.exitCode = 1;
} else {
  const bytes = sampleBytes(await makeSample(PROGRAM_VERSION));
  mkdirSync(SAMPLES, { recursive: true });
  writeFileSync(file, bytes);
  process.stdout.write(`${file}: ${bytes.length} bytes\n`);
}
