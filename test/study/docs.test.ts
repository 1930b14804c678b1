import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fieldRows, staleDocs } from '../../scripts/gen-docs.js';
import { studySchema } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { parseCohortConfig } from '../../site-agent/cohort-config.js';

describe('generated documentation', () => {
  it('is fresh (otherwise: npm run gen)', () => {
    expect(staleDocs()).toEqual([]);
  });

  it('describes fields of every level', () => {
    const fields = fieldRows(studySchema).map(({ field }) => field);
    for (const field of ['quorum', 'privacy.minSites', 'cohort.endpoint(survival).horizon', 'model(mlp).hidden'])
      expect(fields).toContain(field);
    expect(new Set(fields).size).toBe(fields.length);
  });

  it('has examples that parse', () => {
    const doc = readFileSync('docs/study.md', 'utf8');
    const [study, cohort] = [...doc.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
    expect(parseStudy(study!, 'example').name).toBe('hcc-mvi');
    expect(parseCohortConfig(cohort!, 'example').values).toEqual({ sex: { w: 'F', m: 'M' } });
  });

  it('the skeleton that users were promised parses', () => {
    const study = parseStudy(
      `concordat: 1
name: hcc-mvi
cohort:
  endpoint: {type: binary, column: mvi}      # survival: {type: survival, time: os_days, event: os, unit: days, horizon: 730}
  features: ["f*"]
  covariates: [{column: sex, levels: [F, M]}, {column: age, unit: years}]
  split: {column: split, train: train, test: test}   # optional, for tables that bring one
sites: {training: [alder, birch, cedar, dogwood], external: [elm]}
harmonization: {method: combat, mode: converged, covariates: [sex, age], heldOut: calibration}
model: {type: logistic, alpha: 1, lambda: cv, rule: 1se}     # cox: {ties: efron, strata: site}
validation: {folds: 5, leaveOneSiteOut: true, perSite: true, threshold: youden}
privacy: {secureAggregation: true, coordinator: malicious, minimumCount: 5, minimumCohort: 10, minSites: 3, showAggregate: [alder, birch, cedar, dogwood]}
onMissingSite: wait
quorum: 3
seed: 7
`,
      'skeleton',
    );
    expect(study.model).toMatchObject({ type: 'logistic', rule: '1se' });
  });
});
