import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ConcordatError, type Problem } from '../../../shared/errors.js';
import type { Encoder } from '../../../shared/imaging-deep.js';
import { isFolder, namesIn } from '../../imaging/shell/read-file.js';

/** Folder of model files beside cohort.yaml. */
export const MODELS_FOLDER = 'models';

export interface ModelsPlace {
  /** Folder of cohort.yaml. */
  readonly folder: string;
  /** `models` of cohort.yaml: files relative to it. */
  readonly models?: readonly string[] | undefined;
}

/** The model files that a site has: those that its cohort.yaml names, then every .onnx in `models/` beside it. Paths relative to that folder. */
export function modelFiles({ folder, models = [] }: ModelsPlace): string[] {
  return [...new Set([...models, ...onnxIn(folder, MODELS_FOLDER)])];
}

/** The .onnx files directly in a folder below `folder`, or in it. */
export function onnxIn(folder: string, below = '.'): string[] {
  const at = join(folder, below);
  if (!existsSync(at) || !isFolder(at)) return [];
  return namesIn(at)
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => join(below, name));
}

/**
 * Which of the files is each encoder's: the one with its SHA-256, whatever its name. Null for an encoder that has none of them. A file that bears the encoder's name and has other bytes
 * is not passed over in silence.
 *
 * @throws ConcordatError IMAGE_MODEL_CHANGED, with every such encoder
 */
export async function modelsAmong(
  encoders: readonly Pick<Encoder, 'name' | 'sha256'>[],
  folder: string,
  files: readonly string[],
  sha256Of: (path: string) => Promise<string>,
): Promise<{ readonly found: (string | null)[]; readonly problems: Problem[] }> {
  const known = new Map<string, string>();
  const problems: Problem[] = [];
  for (const file of files)
    try {
      known.set(file, await sha256Of(resolve(folder, file)));
    } catch (error) {
      if (!(error instanceof ConcordatError)) throw error;
      problems.push({ file, message: error.message });
    }
  const found = encoders.map(({ sha256 }) => files.find((file) => known.get(file) === sha256) ?? null);
  const changed = encoders.flatMap(({ name, sha256 }, at) =>
    files
      .filter((file) => found[at] === null && basename(file) === `${name}.onnx` && known.has(file))
      .map((file) => ({
        file,
        message: `is not encoder "${name}" of the study: its SHA-256 is ${known.get(file)}, the study wants ${sha256}`,
      })),
  );
  const [first] = changed;
  if (first !== undefined)
    throw new ConcordatError('IMAGE_MODEL_CHANGED', `${first.file} ${first.message}`, { problems: changed });
  for (const [file, sha256] of known) problems.push({ file, message: `has the SHA-256 ${sha256}` });
  return { found: found.map((file) => (file === null ? null : resolve(folder, file))), problems };
}

/**
 * The file of every encoder.
 *
 * @throws ConcordatError IMAGE_MODEL_MISSING, naming each digest that is wanted, where its file goes, and what is there; IMAGE_MODEL_CHANGED
 */
export async function requireModels(
  encoders: readonly Pick<Encoder, 'name' | 'sha256'>[],
  place: ModelsPlace,
  sha256Of: (path: string) => Promise<string>,
): Promise<string[]> {
  const { found, problems } = await modelsAmong(encoders, place.folder, modelFiles(place), sha256Of);
  const wanted = encoders.flatMap(({ name, sha256 }, at) =>
    found[at] === null
      ? [
          {
            file: join(MODELS_FOLDER, `${name}.onnx`),
            message: `put encoder "${name}" here, beside cohort.yaml: the file with the SHA-256 ${sha256}`,
          },
        ]
      : [],
  );
  const lacking = encoders
    .filter((_, at) => found[at] === null)
    .map(({ name, sha256 }) => `"${name}" (SHA-256 ${sha256})`);
  if (lacking.length > 0)
    throw new ConcordatError('IMAGE_MODEL_MISSING', `no model file here is the study's encoder ${lacking.join(', ')}`, {
      problems: [...wanted, ...problems],
    });
  return found.map((file) => file!);
}
