import type { Study } from '../shared/study.js';
import { DeepEncoder } from '../site-agent/radiomics/shell/deep-encoder.js';
import { MODELS_FOLDER, modelsAmong, onnxIn } from '../site-agent/radiomics/shell/model-files.js';
import { readModel } from '../site-agent/radiomics/shell/model-thread.js';

/** An encoder of a study, as far as it could be tried where the study lies. */
export interface CheckedEncoder {
  readonly name: string;
  readonly sha256: string;
  readonly features: number;
  /** Digest of settings, model and runtime. */
  readonly digest: string | null;
  /** The file that was tried; null where none has the digest. */
  readonly file: string | null;
}

/**
 * Tries a study's encoders with the model files that lie beside it, or in `models/` there: type and shape of input and output, and the number of features. A file that is not
 * there is no error, because models travel apart from studies; every site is asked for its own before it approves.
 *
 * @throws ConcordatError IMAGE_MODEL_CHANGED where the file of that name has other bytes, IMAGE_MODEL_UNREADABLE, IMAGE_MODEL_INPUT, IMAGE_MODEL_OUTPUT, IMAGE_MODEL_FAILED
 */
export async function checkEncoders(study: Study, folder: string): Promise<CheckedEncoder[]> {
  const { deep = [] } = study.imaging ?? {};
  if (deep.length === 0) return [];
  const files = [...onnxIn(folder), ...onnxIn(folder, MODELS_FOLDER)];
  const { found } = await modelsAmong(deep, folder, files, async (file) => readModel(file).sha256);
  const checked: CheckedEncoder[] = [];
  for (const [at, settings] of deep.entries()) {
    const { name, sha256, features } = settings;
    const file = found[at] ?? null;
    checked.push({ name, sha256, features, file, digest: file === null ? null : await tried(settings, file) });
  }
  return checked;
}

async function tried(settings: NonNullable<NonNullable<Study['imaging']>['deep']>[number], file: string) {
  const encoder = await DeepEncoder.openAt(settings, file);
  try {
    await encoder.count(settings.features);
    return encoder.digest;
  } finally {
    await encoder.close();
  }
}
