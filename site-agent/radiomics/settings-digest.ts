import { createHash } from 'node:crypto';
import { canonicalJson } from '../../shared/canonical-json.js';
import type { ExtractionSettings, FilterSettings } from './settings.js';
import type { ImageType } from './settings-schema.js';

/** Plain data that says what an extraction computes, and nothing that does not change a value. */
export type CanonicalSettings = Readonly<Record<string, unknown>>;

/** Of the canonical form itself; a new one whenever equal settings would give other values or another form. */
const FORMAT = 1;

/**
 * The settings with every default filled in, features and image types sorted: equal for two parameter files that give
 * the same features the same values. `profile` is what the features follow, `pyradiomics` or `ibsi`.
 */
export function canonicalSettings(settings: ExtractionSettings, profile = 'pyradiomics'): CanonicalSettings {
  const { preprocessing, voxel } = settings;
  const { voxelBatch, initValue, ...kernel } = voxel;
  return {
    format: FORMAT,
    profile,
    preprocessing,
    imageType: Object.fromEntries(
      settings.imageTypes.map(({ type, filter, classes }) => [type, { ...effective(type, filter), ...classes }]),
    ),
    shape: { force2D: settings.classes.force2D, force2Ddimension: settings.classes.force2Ddimension },
    featureClass: Object.fromEntries(settings.featureClasses.map(({ name, features }) => [name, [...features].sort()])),
    voxel: {
      ...kernel,
      initValue: Number.isFinite(initValue) ? initValue : String(initValue),
      ...(voxelBatch === null ? {} : { voxelBatch }),
    },
  };
}

/** The settings of a filter that the image type reads. */
function effective(type: ImageType, filter: FilterSettings): Partial<FilterSettings> {
  const { sigma, sigmaNames, startLevel, level, wavelet, gradientUseSpacing } = filter;
  switch (type) {
    case 'LoG':
      return { sigma, sigmaNames };
    case 'Wavelet':
      return { startLevel, level, wavelet };
    case 'Gradient':
      return { gradientUseSpacing };
    case 'LBP2D':
      return { lbp2DRadius: filter.lbp2DRadius, lbp2DSamples: filter.lbp2DSamples, lbp2DMethod: filter.lbp2DMethod };
    case 'LBP3D':
      return {
        lbp3DLevels: filter.lbp3DLevels,
        lbp3DIcosphereRadius: filter.lbp3DIcosphereRadius,
        lbp3DIcosphereSubdivision: filter.lbp3DIcosphereSubdivision,
      };
    default:
      return {};
  }
}

/** SHA-256 of the canonical form's RFC 8785 bytes, in hex: what every site of a study must share. */
export function settingsDigest(canonical: CanonicalSettings): string {
  return createHash('sha256').update('concordat radiomics settings 1\n').update(canonicalJson(canonical)).digest('hex');
}

export interface SettingDifference {
  /** `imageType.LoG.binWidth`. */
  readonly setting: string;
  /** As JSON; null where the setting is not there at all. */
  readonly here: string | null;
  readonly there: string | null;
}

/** The settings in which two canonical forms differ, in the order of their names; empty where they are equal. */
export function differingSettings(here: CanonicalSettings, there: CanonicalSettings): SettingDifference[] {
  const differences: SettingDifference[] = [];
  const visit = (path: string, a: unknown, b: unknown): void => {
    if (isGroup(a) && isGroup(b)) {
      for (const key of [...new Set([...Object.keys(a), ...Object.keys(b)])].sort())
        visit(path === '' ? key : `${path}.${key}`, a[key], b[key]);
      return;
    }
    const [left, right] = [a, b].map((value) => (value === undefined ? null : canonicalJson(value)));
    if (left !== right) differences.push({ setting: path, here: left!, there: right! });
  };
  visit('', here, there);
  return differences;
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
