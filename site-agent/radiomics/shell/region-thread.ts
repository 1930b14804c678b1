import { parentPort } from 'node:worker_threads';
import { readImage } from '../../imaging/shell/read-file.js';
import { readMask } from '../../imaging/shell/read-mask.js';
import type { Volume } from '../../imaging/volume.js';
import { type RegionPatch, regionPatch } from '../deep/region-patch.js';
import { failureOf } from '../extract.js';
import { extractPerturbed, extractRegion } from '../region-extract.js';
import { regionOnImage } from '../region-on-image.js';
import type { RegionSource } from '../region-source.js';
import { type KeptRegion, keptOf, type PatchRequest, type RegionRequest } from '../region-task.js';
import { standardImage } from '../standard-image.js';
import { LastRead } from './last-read.js';

const images = new LastRead(readImage, 1);
const masks = new LastRead(readMask, 2);
const standards = new LastRead<Volume>(readImage, 1);

/** The image, on the study's standard scale where it has one. */
async function imageOf(request: RegionRequest | PatchRequest): Promise<Volume> {
  const { image: imagePath, standard } = request;
  const image = await images.of(imagePath);
  if (standard === null) return image;
  return standards.ofMade(JSON.stringify([imagePath, standard]), async () => {
    const { organ } = standard;
    const inside =
      organ === null ? null : regionOnImage(await masks.of(organ.mask), organ.label, image, request.mayResample);
    return standardImage(image, inside, standard);
  });
}

async function sourceOf(request: RegionRequest | PatchRequest): Promise<RegionSource> {
  const { mask, label, organ, mayResample } = request;
  const image = await imageOf(request);
  const lesion = regionOnImage(await masks.of(mask), label, image, mayResample);
  const around = organ === null ? null : regionOnImage(await masks.of(organ.mask), organ.label, image, mayResample);
  return { image, lesion, organ: around };
}

async function answer(request: RegionRequest | PatchRequest): Promise<KeptRegion | RegionPatch> {
  try {
    const source = await sourceOf(request);
    const { region, perturbed: reading } = request;
    if ('encoder' in request) return regionPatch(source, region, request.encoder, reading);
    const { extraction } = request;
    const { acquisition } = await images.of(request.image);
    if (reading === undefined) return keptOf(extractRegion(source, region, extraction), acquisition);
    return keptOf(extractPerturbed(source, region, extraction, reading), acquisition);
  } catch (error) {
    return keptOf({ status: 'failed', reason: failureOf(error) });
  }
}

parentPort!.on('message', (request: RegionRequest | PatchRequest) => {
  answer(request)
    .then((kept) => {
      // A patch is large, and this thread is done with it.
      const moved = kept.status === 'patch' ? [kept.values.buffer as ArrayBuffer] : [];
      parentPort!.postMessage({ kept }, moved);
    })
    .catch((error: unknown) =>
      // The text of an error that nobody foresaw could hold anything: only its kind is told.
      parentPort!.postMessage({ bug: error instanceof Error ? error.name : 'unknown error' }),
    );
});
