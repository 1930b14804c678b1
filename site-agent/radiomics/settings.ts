import { isMap, isScalar, isSeq, parseDocument } from 'yaml';
import { ConcordatError, type Problem } from '../../shared/errors.js';
import { readYaml, sortProblems } from '../../shared/strict-yaml.js';
import type { Vec3 } from '../imaging/volume.js';
import { type ClassSettings, DEFAULT_CLASS_SETTINGS } from './class-input.js';
import { activeFeatures, FEATURE_CLASSES, type FeatureClassName, isWithdrawn } from './feature-names.js';
import {
  type ImageType,
  type Interpolator,
  type ParameterFile,
  parameterSchema,
  type SettingFile,
  type SettingName,
} from './settings-schema.js';

/** What one extraction does, every default filled in; names and meanings are PyRadiomics'. */
export interface ExtractionSettings {
  readonly preprocessing: PreprocessingSettings;
  /** In the order of the file, which is the order of the features. */
  readonly imageTypes: readonly ImageTypeSettings[];
  readonly featureClasses: readonly EnabledClass[];
  /** Of the shape classes, which are of no image type. */
  readonly classes: ClassSettings;
  readonly voxel: VoxelSettings;
  /** Whether diagnostics are given beside the features. */
  readonly additionalInfo: boolean;
}

export interface PreprocessingSettings {
  readonly label: number;
  readonly labelChannel: number;
  /** Intensities beyond these are set to them before all else, in the whole image; null: none are. Not in PyRadiomics. */
  readonly clip: readonly [number, number] | null;
  readonly normalize: boolean;
  readonly normalizeScale: number;
  /** In standard deviations, or null. */
  readonly removeOutliers: number | null;
  /** In mm; 0 keeps the mask's own spacing. Null: no resampling. */
  readonly resampledPixelSpacing: Vec3 | null;
  /** Null: no resampling, whatever the spacing. */
  readonly interpolator: Interpolator | null;
  /** In voxels of the resampled grid. */
  readonly padDistance: number;
  readonly preCrop: boolean;
  readonly correctMask: boolean;
  /** Null: ITK's own, 1e-6 (of the spacing along x for distances). */
  readonly geometryTolerance: number | null;
  readonly minimumROIDimensions: number;
  readonly minimumROISize: number | null;
  readonly resegmentRange: readonly number[] | null;
  readonly resegmentMode: 'absolute' | 'relative' | 'sigma';
  readonly resegmentShape: boolean;
}

export interface FilterSettings {
  /** In mm. `sigmaNames` has them as Python writes them, since `1` and `1.0` give features of different names. */
  readonly sigma: readonly number[];
  readonly sigmaNames: readonly string[];
  readonly startLevel: number;
  readonly level: number;
  readonly wavelet: string;
  readonly gradientUseSpacing: boolean;
  readonly lbp2DRadius: number;
  readonly lbp2DSamples: number;
  readonly lbp2DMethod: 'default' | 'ror' | 'uniform' | 'var';
  readonly lbp3DLevels: number;
  readonly lbp3DIcosphereRadius: number;
  readonly lbp3DIcosphereSubdivision: number;
}

export interface ImageTypeSettings {
  readonly type: ImageType;
  readonly filter: FilterSettings;
  readonly classes: ClassSettings;
}

export interface EnabledClass {
  readonly name: FeatureClassName;
  /** In the order in which they are given. */
  readonly features: readonly string[];
}

export interface VoxelSettings {
  readonly kernelRadius: number;
  readonly maskedKernel: boolean;
  readonly initValue: number;
  /** Voxels that are computed together, in the order of the region's voxels; null: all. See `voxelMaps` for what depends on it. */
  readonly voxelBatch: number | null;
}

/** A parameter file as it was understood. `notes` say what has no effect, in PyRadiomics neither. */
export interface ReadSettings {
  readonly settings: ExtractionSettings;
  readonly notes: readonly string[];
}

const FILTER_NAMES: readonly SettingName[] = [
  'sigma',
  'start_level',
  'level',
  'wavelet',
  'gradientUseSpacing',
  'lbp2DRadius',
  'lbp2DSamples',
  'lbp2DMethod',
  'lbp3DLevels',
  'lbp3DIcosphereRadius',
  'lbp3DIcosphereSubdivision',
];
const CLASS_NAMES: readonly SettingName[] = [
  'binWidth',
  'binCount',
  'voxelArrayShift',
  'symmetricalGLCM',
  'weightingNorm',
  'distances',
  'gldm_a',
  'force2D',
  'force2Ddimension',
];

/** PyRadiomics' defaults where no parameter file is given: the original image, every class but shape2D. */
export function defaultSettings(): ExtractionSettings {
  return {
    preprocessing: preprocessingOf({}),
    imageTypes: [{ type: 'Original', filter: filterOf({}, []), classes: DEFAULT_CLASS_SETTINGS }],
    featureClasses: enabledClasses(
      FEATURE_CLASSES.filter((name) => name !== 'shape2D'),
      {},
    ),
    classes: DEFAULT_CLASS_SETTINGS,
    voxel: voxelOf({}),
    additionalInfo: true,
  };
}

/**
 * Reads a PyRadiomics parameter file, YAML or JSON. `file` is its name in messages.
 *
 * @throws ConcordatError IMAGE_SETTINGS_INVALID with every problem at once: what is no YAML, an unknown key, a value out
 * of range, and what PyRadiomics offers and Concordat does not, each naming its key.
 */
export function parseSettings(text: string, file: string): ReadSettings {
  const reading = readYaml(text.trim() === '' ? '{}' : text, file, parameterSchema);
  const refuse = (problems: readonly Problem[]): ConcordatError =>
    new ConcordatError(
      'IMAGE_SETTINGS_INVALID',
      `${file} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}: ${problems[0]!.message}`,
      { problems },
    );
  if (reading.kind !== 'ok') throw refuse(reading.problems);
  const source = new Source(text);
  const found = contradictions(reading.value);
  if (found.length > 0) throw refuse(sortProblems(found.map(({ path, message }) => reading.problemAt(path, message))));
  return resolve(reading.value, source);
}

/** What the file's text says and its parsed value does not: the order of keys, and whether a number was written 1 or 1.0. */
class Source {
  private readonly document;

  constructor(text: string) {
    this.document = parseDocument(text.replace(/^\uFEFF/, ''));
  }

  keys(...path: string[]): string[] {
    const node: unknown = this.document.getIn(path);
    return isMap(node) ? node.items.map((item) => (isScalar(item.key) ? String(item.key.value) : '')) : [];
  }

  numbersInPython(...path: string[]): string[] {
    const node: unknown = this.document.getIn(path);
    if (!isSeq(node)) return [];
    return node.items.map((item) => (isScalar(item) ? inPython(item.source ?? String(item.value)) : ''));
  }
}

/** A number as Python's str() gives it after YAML has read it: integers without, floats always with a fraction. */
export function inPython(source: string): string {
  const value = Number(source);
  if (/^[-+]?\d+$/.test(source)) return String(value);
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? `${value}.0` : String(value);
}

function contradictions(file: ParameterFile): { path: string[]; message: string }[] {
  const found: { path: string[]; message: string }[] = [];
  const places: [string[], SettingFile][] = [[['setting'], file.setting ?? {}]];
  for (const [type, setting] of Object.entries(file.imageType ?? {}))
    if (setting !== null && setting !== undefined) places.push([['imageType', type], setting]);
  for (const [path, setting] of places) {
    if (setting.resampledPixelSpacing?.length === 2)
      found.push({
        path: [...path, 'resampledPixelSpacing'],
        message: `${[...path, 'resampledPixelSpacing'].join('.')} has 2 numbers: images have 3 axes, use 0 to keep an axis as it is`,
      });
    if ((setting.label_channel ?? 0) > 0)
      found.push({
        path: [...path, 'label_channel'],
        message: `${[...path, 'label_channel'].join('.')} above 0 is not supported: masks of several channels are not read`,
      });
  }
  for (const [type, setting] of Object.entries(file.imageType ?? {}))
    if (setting?.label !== undefined && setting.label !== null)
      found.push({
        path: ['imageType', type, 'label'],
        message: `imageType.${type}.label is not supported: one extraction is of one label, set setting.label`,
      });
  return found;
}

function resolve(file: ParameterFile, source: Source): ReadSettings {
  const notes: string[] = [];
  const setting = file.setting ?? {};
  const types = source.keys('imageType') as ImageType[];
  const sigmaOf = (type: ImageType): string[] => {
    const own = source.numbersInPython('imageType', type, 'sigma');
    return own.length > 0 ? own : source.numbersInPython('setting', 'sigma');
  };
  const imageTypes = (types.length === 0 ? (['Original'] as const) : types).map((type): ImageTypeSettings => {
    const own = given(file.imageType?.[type] ?? {});
    for (const key of Object.keys(own) as SettingName[])
      if (!FILTER_NAMES.includes(key) && !CLASS_NAMES.includes(key))
        notes.push(`imageType.${type}.${key} has no effect: it is a setting of the whole extraction`);
    const merged = { ...given(setting), ...own };
    if (type === 'LoG' && merged.sigma === undefined) notes.push('imageType.LoG has no sigma: it gives no features');
    return { type, filter: filterOf(merged, sigmaOf(type)), classes: classesOf(merged) };
  });
  const classNames = source.keys('featureClass') as FeatureClassName[];
  const featureClasses = enabledClasses(
    classNames.length === 0 ? FEATURE_CLASSES : classNames,
    file.featureClass ?? {},
    notes,
  );
  const preprocessing = preprocessingOf(setting, file.concordat?.clip ?? null);
  if (preprocessing.resampledPixelSpacing !== null && preprocessing.interpolator === null)
    notes.push('setting.resampledPixelSpacing has no effect: setting.interpolator is empty');
  return {
    settings: {
      preprocessing,
      imageTypes,
      featureClasses,
      classes: classesOf(given(setting)),
      voxel: voxelOf(file.voxelSetting ?? {}),
      additionalInfo: setting.additionalInfo ?? true,
    },
    notes,
  };
}

function enabledClasses(
  names: readonly FeatureClassName[],
  chosen: Readonly<Partial<Record<FeatureClassName, readonly string[] | null | undefined>>>,
  notes: string[] = [],
): EnabledClass[] {
  return names.map((name) => {
    const named = [...new Set(chosen[name] ?? [])];
    if (named.length === 0) return { name, features: activeFeatures(name) };
    for (const feature of named.filter((one) => isWithdrawn(name, one)))
      notes.push(`featureClass.${name}: ${feature} is deprecated in PyRadiomics and has no value there`);
    return { name, features: named.filter((feature) => !isWithdrawn(name, feature)) };
  });
}

/** Without the keys whose value is empty. */
function given(setting: SettingFile): SettingFile {
  return Object.fromEntries(Object.entries(setting).filter(([, value]) => value !== null && value !== undefined));
}

function preprocessingOf(setting: SettingFile, clip: PreprocessingSettings['clip'] = null): PreprocessingSettings {
  const spacing = setting.resampledPixelSpacing ?? null;
  return {
    label: setting.label ?? 1,
    labelChannel: setting.label_channel ?? 0,
    clip,
    normalize: setting.normalize ?? false,
    normalizeScale: setting.normalizeScale ?? 1,
    removeOutliers: setting.removeOutliers ?? null,
    resampledPixelSpacing: spacing === null ? null : [spacing[0]!, spacing[1]!, spacing[2]!],
    // An empty interpolator switches resampling off, a missing one is the default.
    interpolator: setting.interpolator === undefined ? 'sitkBSpline' : setting.interpolator,
    padDistance: setting.padDistance ?? 5,
    preCrop: setting.preCrop ?? false,
    correctMask: setting.correctMask ?? false,
    geometryTolerance: setting.geometryTolerance ?? null,
    minimumROIDimensions: setting.minimumROIDimensions ?? 2,
    minimumROISize: setting.minimumROISize ?? null,
    resegmentRange: setting.resegmentRange ?? null,
    resegmentMode: setting.resegmentMode ?? 'absolute',
    resegmentShape: setting.resegmentShape ?? false,
  };
}

function filterOf(setting: SettingFile, sigmaNames: readonly string[]): FilterSettings {
  return {
    sigma: setting.sigma ?? [],
    sigmaNames,
    startLevel: setting.start_level ?? 0,
    level: setting.level ?? 1,
    wavelet: setting.wavelet ?? 'coif1',
    gradientUseSpacing: setting.gradientUseSpacing ?? true,
    lbp2DRadius: setting.lbp2DRadius ?? 1,
    lbp2DSamples: setting.lbp2DSamples ?? 8,
    lbp2DMethod: setting.lbp2DMethod ?? 'uniform',
    lbp3DLevels: setting.lbp3DLevels ?? 2,
    lbp3DIcosphereRadius: setting.lbp3DIcosphereRadius ?? 1,
    lbp3DIcosphereSubdivision: setting.lbp3DIcosphereSubdivision ?? 1,
  };
}

function classesOf(setting: SettingFile): ClassSettings {
  const fallback = DEFAULT_CLASS_SETTINGS;
  return {
    binWidth: setting.binWidth ?? fallback.binWidth,
    binCount: setting.binCount ?? null,
    voxelArrayShift: setting.voxelArrayShift ?? 0,
    symmetricalGLCM: setting.symmetricalGLCM ?? true,
    weightingNorm: setting.weightingNorm ?? null,
    distances: setting.distances ?? [1],
    gldmA: setting.gldm_a ?? 0,
    force2D: setting.force2D ?? false,
    force2Ddimension: (setting.force2Ddimension ?? 0) as ClassSettings['force2Ddimension'],
  };
}

function voxelOf(setting: NonNullable<ParameterFile['voxelSetting']>): VoxelSettings {
  return {
    kernelRadius: setting.kernelRadius ?? 1,
    maskedKernel: setting.maskedKernel ?? true,
    initValue: setting.initValue ?? 0,
    voxelBatch: setting.voxelBatch ?? null,
  };
}
