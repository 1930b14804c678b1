import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { imagingSchema } from '../../shared/imaging.js';
import { resolveFeatures } from '../../shared/study-parse.js';
import { studyFeatureNames } from '../../site-agent/radiomics/study-names.js';
import { DEADLINE_MS, FOUR_SITES, smallStudy, TestFederation } from './support.js';

const imaging = imagingSchema.parse({
  phases: ['arterial', 'portal-venous'],
  settings: {
    imageType: { Original: {} },
    featureClass: { firstorder: ['Mean', 'Entropy'], shape: ['Sphericity'] },
    setting: { binWidth: 10 },
  },
});

describe('a study from images', () => {
  it(
    'each agent extracts its own, and the result is that of a simulation over what they extracted',
    async () => {
      const sites = phantomCohort({ seed: 11, sites: FOUR_SITES, casesPerSite: 30, modality: 'CT' });
      const federation = await TestFederation.start(FOUR_SITES, {
        prepare: (site, folder) => writePhantomSite(sites.find(({ name }) => name === site)!, 11, folder),
      });
      try {
        const plain = smallStudy('from-images', {
          cohort: {
            endpoint: { type: 'binary', column: 'mvi' },
            features: ['arterial_*', 'portal-venous_original_firstorder_*'],
            covariates: [{ column: 'age', unit: 'years' }],
          },
          imaging,
        });
        const study = resolveFeatures(plain, studyFeatureNames(imaging));
        expect(study.cohort.features.length).toBe(5);
        await federation.propose(study);
        const bundle = await federation.published(study);
        expect(readFileSync(path.join(bundle, 'result.json'), 'utf8')).toBe(federation.simulated(study));
        for (const site of FOUR_SITES)
          expect(existsSync(path.join(federation.siteFolder(site), 'features'))).toBe(true);
        // Nothing of a single case, neither its name nor its image, is in what left the sites.
        expect(readFileSync(path.join(bundle, 'result.json'), 'utf8')).not.toContain('SIM-');
      } finally {
        await federation.stop();
      }
    },
    2 * DEADLINE_MS,
  );
});
