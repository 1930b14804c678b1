import { parentPort } from 'node:worker_threads';
import { readImage } from '../../imaging/shell/read-file.js';
import { type MaskFile, readMask } from '../../imaging/shell/read-mask.js';
import type { Volume } from '../../imaging/volume.js';
import { failureOf } from '../extract.js';
import { extractRegion } from '../region-extract.js';
import { type KeptRegion, keptOf, type RegionRequest } from '../region-task.js';

/** The last files read: regions of one image come in a row. */
class LastRead<T extends Volume | MaskFile> {
  private readonly kept = new Map<string, T>();

  constructor(
    private readonly read: (path: string) => Promise<T>,
    private readonly atMost: number,
  ) {}

  async of(path: string): Promise<T> {
    const known = this.kept.get(path);
    if (known !== undefined) return known;
    if (this.kept.size >= this.atMost) this.kept.delete(this.kept.keys().next().value!);
    const found = await this.read(path);
    this.kept.set(path, found);
    return found;
  }
}

const images = new LastRead(readImage, 1);
const masks = new LastRead(readMask, 2);

async function kept({ image: imagePath, mask, label, organ, region, extraction }: RegionRequest): Promise<KeptRegion> {
  try {
    const image = await images.of(imagePath);
    const lesion = (await masks.of(mask)).region(label, image);
    const around = organ === null ? null : (await masks.of(organ.mask)).region(organ.label, image);
    return keptOf(extractRegion({ image, lesion, organ: around }, region, extraction));
  } catch (error) {
    return keptOf({ status: 'failed', reason: failureOf(error) });
  }
}

parentPort!.on('message', (request: RegionRequest) => {
  kept(request)
    .then((found) => parentPort!.postMessage({ kept: found }))
    .catch((error: unknown) =>
      parentPort!.postMessage({ bug: error instanceof Error ? error.message : String(error) }),
    );
});
