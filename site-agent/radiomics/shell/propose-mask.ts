import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { labelsOf } from '../../imaging/labels.js';
import { writeNifti } from '../../imaging/nifti-write.js';
import { PROPOSED_MARK } from '../../imaging/proposed-mask.js';
import { writeProposedMask } from '../../imaging/shell/accepted-mask.js';
import { readImage } from '../../imaging/shell/read-file.js';
import { FEATURE_TYPES } from '../deep/encode.js';
import { requireImageInput, requireOutput } from '../deep/model.js';
import { modelImage, Scores, segmentPlan, tileValues } from '../deep/segment.js';
import { parseSegmentSettings, segmentDigest } from '../deep/settings.js';
import { ModelThread, readModel } from './model-thread.js';

export interface ProposeOptions {
  readonly image: string;
  readonly model: string;
  readonly settings: string;
  /** Where the mask goes: a .nii or .nii.gz file. */
  readonly out: string;
  /** ISO 8601. */
  readonly at: string;
  readonly progress?: (done: number, total: number) => void;
  readonly workerUrl?: URL;
}

export interface ProposedMask {
  readonly modelSha256: string;
  readonly settingsDigest: string;
  readonly labels: readonly { readonly label: number; readonly voxels: number; readonly volumeMm3: number }[];
}

/**
 * Lets a model propose a mask for an image and writes it, marked as proposed.
 *
 * @throws ConcordatError IMAGE_SETTINGS_INVALID, IMAGE_MODEL_*, IMAGE_* of reading the image
 */
export async function proposeMask(options: ProposeOptions): Promise<ProposedMask> {
  const settings = parseSegmentSettings(readFileSync(options.settings, 'utf8'), basename(options.settings));
  const { bytes, sha256 } = readModel(options.model, settings.sha256);
  const image = await readImage(options.image);
  const { thread, facts } = await ModelThread.open(bytes, options.workerUrl);
  try {
    const plan = segmentPlan(image, settings);
    const input = requireImageInput(facts, plan.inputShape(plan.tiles[0]!));
    const output = requireOutput(facts, settings.output, FEATURE_TYPES);
    const source = modelImage(image, plan, settings);
    const scores = new Scores(plan, settings);
    for (const [done, tile] of plan.tiles.entries()) {
      scores.add(tile, await thread.run(input, tileValues(source, tile), plan.inputShape(tile), output));
      options.progress?.(done + 1, plan.tiles.length);
    }
    const mask = scores.mask(image);
    const settingsDigest = segmentDigest(settings, sha256);
    const written = writeNifti(mask, {
      gzip: options.out.endsWith('.gz'),
      description: `${PROPOSED_MARK} ${sha256.slice(0, 12)}`,
    });
    writeProposedMask(options.out, written, { modelSha256: sha256, settingsDigest, at: options.at });
    const voxelMm3 = image.spacingMm[0] * image.spacingMm[1] * image.spacingMm[2];
    const labels = [...labelsOf(mask)].map(([label, voxels]) => ({ label, voxels, volumeMm3: voxels * voxelMm3 }));
    return { modelSha256: sha256, settingsDigest, labels };
  } finally {
    await thread.close();
  }
}
