import { createHash } from 'node:crypto';
import { canonicalJson } from '../../shared/canonical-json.js';
import type { Imaging, ImagingRegion } from '../../shared/imaging.js';
import type { Encoder } from '../../shared/imaging-deep.js';
import { settingsText } from '../../shared/sigma-texts.js';
import { canonicalEncoder, deepDigest } from './deep/settings.js';
import type { IbsiSettings } from './ibsi/settings.js';
import { parseIbsiSettings } from './ibsi-profile.js';
import { type ExtractionSettings, parseSettings } from './settings.js';
import { type CanonicalSettings, canonicalSettings } from './settings-digest.js';
import { type PhaseStandard, standardOf } from './standard-image.js';

/** A study's settings as the extraction takes them, under the profile that the study names. */
export type StudyExtraction =
  | { readonly profile: 'pyradiomics'; readonly settings: ExtractionSettings }
  | { readonly profile: 'ibsi'; readonly settings: IbsiSettings };

/** @throws ConcordatError IMAGE_SETTINGS_INVALID with every problem at once. */
export function studyExtraction(imaging: Imaging): StudyExtraction {
  const text = settingsText(imaging.settings);
  if (imaging.profile === 'pyradiomics')
    return { profile: 'pyradiomics', settings: parseSettings(text, 'imaging.settings').settings };
  return { profile: 'ibsi', settings: parseIbsiSettings(text, 'imaging.settings') };
}

/** Whatever changes a feature's value: phases, regions, rules and settings with every default filled in. */
export function canonicalImaging(imaging: Imaging): CanonicalSettings {
  const extraction = studyExtraction(imaging);
  const { settings: _settings, deep, ...rest } = imaging;
  const settings =
    extraction.profile === 'pyradiomics'
      ? canonicalSettings(extraction.settings)
      : { format: 1, ...extraction.settings };
  return { ...rest, ...deepOf(deep), delta: imaging.delta ?? null, settings };
}

/**
 * Encoders by name, so that two studies differ in single settings of one; nothing where there are none. The runtime is no setting of the study: the cache is
 * keyed by it, while the table of features of a study that is under way outlives an upgrade of this program.
 */
function deepOf(deep: Imaging['deep']): Record<string, unknown> {
  if (deep === undefined) return {};
  const encoders = deep.map((encoder): [string, unknown] => {
    const { name: _name, runtime: _runtime, ...settings } = canonicalEncoder(encoder);
    return [encoder.name, { ...settings, features: encoder.features, regions: encoder.regions ?? null }];
  });
  return { deep: Object.fromEntries(encoders) };
}

/** SHA-256 of the canonical form, in hex: features of two sites are comparable where theirs are equal. */
export function imagingDigest(canonical: CanonicalSettings): string {
  return createHash('sha256').update('concordat imaging 1\n').update(canonicalJson(canonical)).digest('hex');
}

/** Of one region's extraction alone: what its cached features depend on besides image and mask. */
export function regionDigest(imaging: Imaging, region: ImagingRegion, phase: string): string {
  const canonical = canonicalImaging(imaging);
  const own = {
    profile: imaging.profile,
    settings: canonical['settings'],
    region: { ...region, name: '' },
    ...learnedBefore(imaging, phase),
  };
  return createHash('sha256').update('concordat region 1\n').update(canonicalJson(own)).digest('hex');
}

/** Of one encoder's features of a region alone: not of the other settings, so that a change of those or of another encoder leaves them valid. */
export function deepRegionDigest(encoder: Encoder, region: ImagingRegion, standard: PhaseStandard | null): string {
  const own = { deep: deepDigest(encoder), region: { ...region, name: '' }, standard };
  return createHash('sha256').update('concordat deep region 1\n').update(canonicalJson(own)).digest('hex');
}

/** What was learned from other cases and goes into images of this phase, with where it comes from. */
function learnedBefore({ standardize }: Imaging, phase: string): Record<string, unknown> {
  if (standardize === undefined) return {};
  const { from } = standardize;
  return { standardize: { ...standardOf(standardize, phase), from } };
}
