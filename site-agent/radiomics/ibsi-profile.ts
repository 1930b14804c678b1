import { ConcordatError } from '../../shared/errors.js';
import { readYaml } from '../../shared/strict-yaml.js';
import { requireSameGrid } from '../imaging/compare-grids.js';
import { maskOfLabel } from './check-mask.js';
import { type Extraction, failureOf, type Source } from './extract.js';
import { extractIbsi } from './ibsi/extract.js';
import { type IbsiSettings, ibsiSettingsSchema } from './ibsi/settings.js';
import { resampleMask } from './resample.js';

/** Without a settings file: every aggregation of grey levels that the image has already. */
const EVERY_AGGREGATION = 'dimensions: ["2D", "2.5D", "3D"]';

/**
 * Reads IBSI settings, YAML or JSON; no text is every aggregation of the image as it is.
 *
 * @throws ConcordatError IMAGE_SETTINGS_INVALID with every problem at once.
 */
export function parseIbsiSettings(text: string | null, file: string): IbsiSettings {
  const reading = readYaml(text ?? EVERY_AGGREGATION, file, ibsiSettingsSchema);
  if (reading.kind === 'ok') return reading.value;
  const { problems } = reading;
  throw new ConcordatError(
    'IMAGE_SETTINGS_INVALID',
    `${file} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}: ${problems[0]!.message}`,
    { problems },
  );
}

/** IBSI's features under the tags of its reference tables; what is wrong with image or region is a status. */
export function extractByIbsi(
  { image, mask }: Source,
  settings: IbsiSettings,
  { resampleMask: mayResample = false }: { readonly resampleMask?: boolean } = {},
): Extraction {
  try {
    const own = maskOfLabel(mask, settings.label);
    if (!mayResample) requireSameGrid(image, own);
    const features = extractIbsi(image, resampleMask(own, image), { ...settings, label: 1 });
    return { status: 'ok', features, diagnostics: {}, notes: [] };
  } catch (error) {
    return { status: 'failed', reason: failureOf(error) };
  }
}
