import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { ConcordatError } from '../../../shared/errors.js';
import { DEEP_FEATURES_MAX, type Encoder } from '../../../shared/imaging-deep.js';
import { requireSameGrid } from '../../imaging/compare-grids.js';
import { type Roi, roiOf } from '../../imaging/roi.js';
import type { Volume } from '../../imaging/volume.js';
import { maskOfLabel } from '../check-mask.js';
import { deepFeatures, FEATURE_TYPES } from '../deep/encode.js';
import { type ModelValue, requireImageInput, requireOutput } from '../deep/model.js';
import { type Patch, patchOf, patchShape } from '../deep/patch.js';
import { type DeepSettings, deepDigest, parseDeepSettings } from '../deep/settings.js';
import { type Extraction, failureOf, type Source } from '../extract.js';
import type { FeatureSet } from '../feature.js';
import { takenToImage } from '../region-on-image.js';
import { settingsDigest } from '../settings-digest.js';
import { ModelThread, readModel } from './model-thread.js';

interface OpenModel {
  readonly thread: ModelThread;
  readonly input: ModelValue;
  readonly output: ModelValue;
}

/** An encoder that waits in its thread for one region after the other. */
export class DeepEncoder {
  /** Of the settings, the encoder's bytes and the runtime: part of a feature cache's key, and what all sites share. */
  readonly digest: string;
  private counted: Promise<number> | null = null;

  private constructor(
    readonly settings: Encoder,
    private model: Promise<OpenModel>,
    private readonly again: () => Promise<OpenModel>,
  ) {
    this.digest = deepDigest(settings);
  }

  /**
   * @param file the model's; its bytes must have the digest of the settings
   * @throws ConcordatError IMAGE_MODEL_UNREADABLE, IMAGE_MODEL_CHANGED, IMAGE_MODEL_INPUT, IMAGE_MODEL_OUTPUT
   */
  static async openAt(settings: Encoder, file: string, workerUrl?: URL): Promise<DeepEncoder> {
    const open = async (): Promise<OpenModel> => {
      const { bytes } = readModel(file, settings.sha256);
      const { thread, facts } = await ModelThread.open(bytes, workerUrl);
      try {
        const input = requireImageInput(facts, patchShape(settings));
        return { thread, input, output: requireOutput(facts, settings.output, FEATURE_TYPES) };
      } catch (error) {
        await thread.close();
        throw error;
      }
    };
    const model = await open();
    return new DeepEncoder(settings, Promise.resolve(model), open);
  }

  /** @param folder what the encoder's path is relative to. @throws as `openAt` */
  static open(settings: DeepSettings, folder: string, workerUrl?: URL): Promise<DeepEncoder> {
    return DeepEncoder.openAt(settings, resolve(folder, settings.encoder), workerUrl);
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
  features(image: Volume, roi: Roi): Promise<FeatureSet> {
    return this.featuresOf(patchOf(image, roi, this.settings));
  }

  /**
   * Features of a patch that was cut with these settings. A thread that was lost takes one patch with it; the next gets a new one.
   * @throws ConcordatError IMAGE_MODEL_FAILED, IMAGE_MODEL_OUTPUT, SITE_COMPUTATION_LOST, IMAGE_TOO_LARGE
   */
  async featuresOf({ values, shape }: Patch): Promise<FeatureSet> {
    const { thread, input, output } = await this.opened();
    return deepFeatures(this.settings.name, await thread.run(input, values, shape, output));
  }

  /**
   * How many features it gives, found out with a patch of zeros.
   * @param stated what a study says of it
   * @throws ConcordatError IMAGE_MODEL_OUTPUT where it is another number, IMAGE_MODEL_FAILED
   */
  async count(stated?: number): Promise<number> {
    const shape = patchShape(this.settings);
    const zeros = () => new Float64Array(shape.reduce((product, length) => product * length, 1));
    this.counted ??= this.featuresOf({ values: zeros(), shape }).then(({ size }) => size);
    const found = await this.counted;
    if (stated !== undefined && found !== stated)
      throw new ConcordatError(
        'IMAGE_MODEL_OUTPUT',
        `encoder "${this.settings.name}" gives ${found} features, the study says ${stated}`,
        {
          hint: `Set features: ${found} in the study, or a size, view or output that gives ${stated}; at most ${DEEP_FEATURES_MAX} are read.`,
        },
      );
    return found;
  }

  async close(): Promise<void> {
    const model = await this.model.catch(() => null);
    await model?.thread.close();
  }

  private async opened(): Promise<OpenModel> {
    const model = await this.model.catch(() => null);
    if (model === null || model.thread.isLost) this.model = this.again();
    return this.model;
  }
}

/** What extracts features of one label, and the digest of how. */
export interface Extractor {
  readonly label: number;
  readonly digest: string;
  /** Whether it takes a mask on another grid to the image's: then the encoder's region is taken there too. */
  readonly mayResample?: boolean;
  run(source: Source): Promise<Extraction>;
}

/** Digest of settings with an encoder beside them. */
export const withDeepDigest = (base: string, deep: string): string =>
  settingsDigest({ format: 1, profile: 'with deep features', base, deep });

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
      const mask = maskOfLabel(source.mask, extractor.label);
      if (extractor.mayResample !== true) requireSameGrid(source.image, mask);
      const deep = await encoder.features(source.image, roiOf(takenToImage(mask, source.image)));
      return { ...extraction, features: new Map([...extraction.features, ...deep]) };
    } catch (error) {
      return { status: 'failed', reason: failureOf(error) };
    }
  };
  return { ...extractor, digest: withDeepDigest(extractor.digest, encoder.digest), run };
}
