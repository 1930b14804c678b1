import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { requireSameGrid } from '../../imaging/compare-grids.js';
import { type Roi, roiOf } from '../../imaging/roi.js';
import type { Volume } from '../../imaging/volume.js';
import { maskOfLabel } from '../check-mask.js';
import { deepFeatures, FEATURE_TYPES } from '../deep/encode.js';
import { type ModelValue, requireImageInput, requireOutput } from '../deep/model.js';
import { patchOf, patchShape } from '../deep/patch.js';
import { type DeepSettings, deepDigest, parseDeepSettings } from '../deep/settings.js';
import { type Extraction, failureOf, type Source } from '../extract.js';
import type { FeatureSet } from '../feature.js';
import { settingsDigest } from '../settings-digest.js';
import { ModelThread, readModel } from './model-thread.js';

/** An encoder that waits in its thread for one region after the other. */
export class DeepEncoder {
  /** Of the settings and the encoder's bytes: part of a feature cache's key, and what all sites share. */
  readonly digest: string;

  private constructor(
    readonly settings: DeepSettings,
    private readonly thread: ModelThread,
    private readonly input: ModelValue,
    private readonly output: ModelValue,
  ) {
    this.digest = deepDigest(settings);
  }

  /**
   * @param folder what the encoder's path is relative to
   * @throws ConcordatError IMAGE_MODEL_UNREADABLE, IMAGE_MODEL_CHANGED, IMAGE_MODEL_INPUT, IMAGE_MODEL_OUTPUT
   */
  static async open(settings: DeepSettings, folder: string, workerUrl?: URL): Promise<DeepEncoder> {
    const { bytes } = readModel(resolve(folder, settings.encoder), settings.sha256);
    const { thread, facts } = await ModelThread.open(bytes, workerUrl);
    try {
      const input = requireImageInput(facts, patchShape(settings));
      return new DeepEncoder(settings, thread, input, requireOutput(facts, settings.output, FEATURE_TYPES));
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  /** From a YAML file with the section `deep`. @throws also IMAGE_SETTINGS_INVALID */
  static async openFile(path: string, workerUrl?: URL): Promise<DeepEncoder> {
    const settings = parseDeepSettings(readFileSync(path, 'utf8'), basename(path));
    return DeepEncoder.open(settings, dirname(path), workerUrl);
  }

  /**
   * Features of a region that has at least one voxel.
   * @throws ConcordatError IMAGE_MODEL_FAILED, IMAGE_MODEL_OUTPUT
   */
  async features(image: Volume, roi: Roi): Promise<FeatureSet> {
    const { values, shape } = patchOf(image, roi, this.settings);
    return deepFeatures(this.settings.name, await this.thread.run(this.input, values, shape, this.output));
  }

  close(): Promise<void> {
    return this.thread.close();
  }
}

/** What extracts features of one label, and the digest of how. */
export interface Extractor {
  readonly label: number;
  readonly digest: string;
  run(source: Source): Promise<Extraction>;
}

/**
 * The same with an encoder's features after its own. The encoder sees the image and the mask as they are in their files: it has settings of its
 * own for spacing and intensities.
 *
 * @param file YAML with the section `deep`
 * @throws ConcordatError IMAGE_SETTINGS_INVALID, IMAGE_MODEL_UNREADABLE, IMAGE_MODEL_CHANGED, IMAGE_MODEL_INPUT, IMAGE_MODEL_OUTPUT
 */
export async function withDeepFeatures<T extends Extractor>(extractor: T, file: string, workerUrl?: URL): Promise<T> {
  const encoder = await DeepEncoder.openFile(file, workerUrl);
  const run = async (source: Source): Promise<Extraction> => {
    try {
      const extraction = await extractor.run(source);
      if (extraction.status === 'failed') return extraction;
      requireSameGrid(source.image, source.mask);
      const deep = await encoder.features(source.image, roiOf(maskOfLabel(source.mask, extractor.label)));
      return { ...extraction, features: new Map([...extraction.features, ...deep]) };
    } catch (error) {
      return { status: 'failed', reason: failureOf(error) };
    }
  };
  const digest = settingsDigest({
    format: 1,
    profile: 'with deep features',
    base: extractor.digest,
    deep: encoder.digest,
  });
  return { ...extractor, digest, run };
}
