import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Imaging, type ImagingRegion, regionsOf } from '../../../shared/imaging.js';
import { encodersOf } from '../../../shared/imaging-deep.js';
import { parseDeepSettings } from '../deep/settings.js';
import { DeepEncoder } from './deep-encoder.js';
import { type ModelsPlace, requireModels } from './model-files.js';

/** An encoder that is open, and how many features it gives. */
export interface OpenEncoder {
  readonly encoder: DeepEncoder;
  readonly count: number;
}

/** The encoders of one extraction, each open in a thread of its own and tried with a patch of zeros before the first image is read. */
export class Encoders {
  private constructor(
    private readonly open: readonly OpenEncoder[],
    private readonly runs: (encoder: DeepEncoder, region: ImagingRegion) => boolean,
  ) {}

  static readonly NONE = new Encoders([], () => false);

  /**
   * Those of a study, from the files that the site has.
   *
   * @throws ConcordatError IMAGE_MODEL_MISSING, IMAGE_MODEL_CHANGED, IMAGE_MODEL_UNREADABLE, IMAGE_MODEL_INPUT, IMAGE_MODEL_OUTPUT, IMAGE_MODEL_FAILED
   */
  static async ofStudy(
    imaging: Imaging,
    place: ModelsPlace,
    sha256Of: (path: string) => Promise<string>,
    workerUrl?: URL,
  ): Promise<Encoders> {
    const { deep = [] } = imaging;
    if (deep.length === 0) return Encoders.NONE;
    const files = await requireModels(deep, place, sha256Of);
    const opened: OpenEncoder[] = [];
    try {
      for (const [at, settings] of deep.entries()) {
        const encoder = await DeepEncoder.openAt(settings, files[at]!, workerUrl);
        opened.push({ encoder, count: settings.features });
        await encoder.count(settings.features);
      }
    } catch (error) {
      await closed(opened);
      throw error;
    }
    const runs = new Map(
      imaging.phases
        .flatMap((phase) => regionsOf(imaging, phase))
        .map((region) => [region.name, new Set(encodersOf(imaging, region).map(({ name }) => name))]),
    );
    return new Encoders(opened, ({ settings }, region) => runs.get(region.name)?.has(settings.name) === true);
  }

  /**
   * The one of a file with the section `deep`, for whatever region is asked for.
   *
   * @throws ConcordatError IMAGE_SETTINGS_INVALID, IMAGE_MODEL_CHANGED, IMAGE_MODEL_UNREADABLE, IMAGE_MODEL_INPUT, IMAGE_MODEL_OUTPUT, IMAGE_MODEL_FAILED
   */
  static async ofFile(file: string, workerUrl?: URL): Promise<Encoders> {
    const settings = parseDeepSettings(readFileSync(file, 'utf8'), basename(file));
    const encoder = await DeepEncoder.open(settings, dirname(file), workerUrl);
    try {
      return new Encoders([{ encoder, count: await encoder.count() }], () => true);
    } catch (error) {
      await encoder.close();
      throw error;
    }
  }

  /** Those that run on a region, in the order of their features. */
  of(region: ImagingRegion): OpenEncoder[] {
    return this.open.filter(({ encoder }) => this.runs(encoder, region));
  }

  /** Digest of the one encoder of a file. */
  get digest(): string {
    return this.open[0]!.encoder.digest;
  }

  close(): Promise<void> {
    return closed(this.open);
  }
}

async function closed(open: readonly OpenEncoder[]): Promise<void> {
  await Promise.all(open.map(({ encoder }) => encoder.close()));
}
