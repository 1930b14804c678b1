import { parentPort } from 'node:worker_threads';
import { readImageFile } from '../../imaging/shell/read-file.js';
import type { Volume } from '../../imaging/volume.js';
import { failureOf } from '../extract.js';
import { extractRegion } from '../region-extract.js';
import { keptOf, type RegionRequest } from '../region-task.js';

/** Reads images and extracts regions, one request after the other. The last files read are kept: regions of one image come in a row. */
const read = new Map<string, Volume>();
const KEPT_FILES = 3;

function fileOf(path: string): Volume {
  const known = read.get(path);
  if (known !== undefined) return known;
  const volume = readImageFile(path);
  if (read.size >= KEPT_FILES) read.delete(read.keys().next().value!);
  read.set(path, volume);
  return volume;
}

parentPort!.on('message', (request: RegionRequest) => {
  try {
    const organ = request.organ === null ? null : { mask: fileOf(request.organ.mask), label: request.organ.label };
    const source = { image: fileOf(request.image), mask: fileOf(request.mask), label: request.label, organ };
    parentPort!.postMessage({ kept: keptOf(extractRegion(source, request.region, request.extraction)) });
  } catch (error) {
    try {
      parentPort!.postMessage({ kept: keptOf({ status: 'failed', reason: failureOf(error) }) });
    } catch {
      parentPort!.postMessage({ bug: error instanceof Error ? error.message : String(error) });
    }
  }
});
