import { seededRandom } from '../../shared/rng.js';
import { type Study, studySchema } from '../../shared/study.js';

/** A study of three sites and its tables, as small as they can be. */
export const FUZZ_SITES = ['alder', 'birch', 'cedar'];

export function fuzzStudy(changes: Record<string, unknown> = {}): Study {
  return studySchema.parse({
    concordat: 1,
    name: 'fuzz',
    title: 'Simulated patients',
    cohort: {
      endpoint: { type: 'binary', column: 'mvi' },
      features: ['f0', 'f1'],
      covariates: [{ column: 'age', unit: 'years' }],
    },
    sites: { training: FUZZ_SITES },
    harmonization: { method: 'combat', covariates: ['age'] },
    model: { type: 'logistic', alpha: 0.5, lambda: 0.1 },
    validation: { folds: 2, threshold: 0.5 },
    quorum: 3,
    seed: 7,
    ...changes,
  });
}

export function fuzzTable(site: string, n: number): string {
  const random = seededRandom('fuzz table', site);
  const rows = Array.from({ length: n }, (_, index) => {
    const f0 = random.normal();
    const f1 = random.normal() * 2 + 1;
    const age = Math.round(50 + 20 * random.uniform());
    const mvi = random.uniform() < 1 / (1 + Math.exp(-f0)) ? 1 : 0;
    return [`${site}-${index + 1}`, f0.toFixed(4), f1.toFixed(4), age, mvi].join(',');
  });
  return `${['patient_id', 'f0', 'f1', 'age', 'mvi'].join(',')}\n${rows.join('\n')}\n`;
}
