import { ConcordatError } from '../../shared/errors.js';
import type { Imaging } from '../../shared/imaging.js';
import { LESION_LABEL, phantomCase } from '../imaging/phantom/phantom.js';
import { caseFeatureNames } from './case-features.js';
import { extractRegion } from './region-extract.js';
import { studyExtraction } from './study-extraction.js';

/**
 * Names of all features that a study's imaging section gives, in order. They are those of an extraction from a simulated lesion with the study's
 * own settings, so that no second list of names can go stale.
 *
 * @throws ConcordatError IMAGE_SETTINGS_INVALID; STUDY_INVALID where the settings leave nothing of a lesion of 14 mm radius.
 */
export function studyFeatureNames(imaging: Imaging): string[] {
  const scanner = { modality: 'CT', spacingMm: [2, 2, 2], kernelMm: 1, noise: 10, offset: 0, gain: 1 } as const;
  const lesion = { radiusMm: 14, irregularity: 0.1, heterogeneity: 15, grainMm: 3 };
  const { images, labels } = phantomCase(lesion, scanner, 'names');
  const lesionMask = { ...labels, data: labels.data.map((label) => (label === LESION_LABEL ? 1 : 0)) };
  const source = { image: images.arterial, lesion: lesionMask, organ: null };
  const [region] = imaging.regions.filter(({ kind }) => kind === 'lesion');
  const whole = region ?? { name: 'lesion', kind: 'lesion' as const, withinOrgan: true };
  const found = extractRegion(source, whole, studyExtraction(imaging));
  if (found.status === 'failed')
    throw new ConcordatError(
      'STUDY_INVALID',
      `imaging.settings give no features of a simulated lesion of 14 mm radius: ${found.reason.message}`,
      { hint: 'Mend the settings, or name the features one by one under cohort.features.' },
    );
  return caseFeatureNames(imaging, [...found.features.keys()]);
}
