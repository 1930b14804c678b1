import { stringify } from 'yaml';
import { parseInvitation } from '../../../shared/enrollment.js';
import { planStudy } from '../../../shared/plan.js';
import type { SeededRandom } from '../../../shared/rng.js';
import { studyHash } from '../../../shared/study.js';
import { parseStudy } from '../../../shared/study-parse.js';
import { readStudyDocument, studyDocument } from '../../../shared/study-signatures.js';
import { cohortOf } from '../../../site-agent/cohort.site.js';
import { parseCohortConfig } from '../../../site-agent/cohort-config.js';
import { parseTable } from '../../../site-agent/cohort-table.site.js';
import { parsePolicy } from '../../../site-agent/policy.js';
import { Broken, bytesOf, type FuzzKind, jsonOrText, pack, textOf, unpack } from '../kind.js';
import { jsonText, mutateText, mutateValue, pick } from '../mutate.js';
import { fuzzStudy, fuzzTable } from '../study.js';

const YAML_MARKS = [
  '&a',
  '*a',
  '<<: *a',
  '? ',
  '- ',
  ': ',
  '!!binary ',
  '!!set ',
  '!!float ',
  '!!js/function ',
  '|',
  '>',
  '[',
  ']',
  '{',
  '}',
  '\t',
  '---\n',
  '%YAML 9.9\n',
  '# ',
  '"\\u0000"',
  '.nan',
  '.inf',
  '0o777',
  '0xffffffffffffffffff',
  '1e400',
  '2026-01-01',
  '__proto__: 1\n',
  'constructor: 1\n',
  '"\\ud800"',
  '~',
];

/** YAML by three ways: its text broken, its fields changed, or one of the shapes that are known to break readers. */
function yamlCase(random: SeededRandom, specimens: readonly string[], values: readonly unknown[]): Uint8Array {
  const way = random.integer(20);
  if (way < 11) return bytesOf(jsonText(mutateValue(random, pick(random, values))));
  if (way < 19) return bytesOf(mutateText(random, pick(random, specimens), YAML_MARKS));
  return bytesOf(yamlBomb(random));
}

function yamlBomb(random: SeededRandom): string {
  const depth = 10 ** (1 + random.integer(4));
  switch (random.integer(6)) {
    case 0: {
      const levels = 2 + random.integer(12);
      const lines = Array.from({ length: levels }, (_, i) =>
        i === 0 ? 'a0: &a0 [x, x, x, x, x, x, x, x, x]' : `a${i}: &a${i} [${`*a${i - 1}, `.repeat(9)}]`,
      );
      return `concordat: 1\n${lines.join('\n')}\n`;
    }
    case 1:
      return `concordat: ${'['.repeat(depth)}`;
    case 2:
      return `concordat: ${'['.repeat(depth)}${']'.repeat(depth)}`;
    case 3:
      return Array.from({ length: Math.min(depth, 400) }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
    case 4:
      return `concordat: &a\n  b: *a\n${'- '.repeat(Math.min(depth, 1000))}x`;
    default:
      return `${'a: 1\n'.repeat(Math.min(depth, 500))}${'{a: '.repeat(depth)}`;
  }
}

const STUDY_TEXTS = () => {
  const studies = [
    fuzzStudy(),
    fuzzStudy({
      cohort: {
        endpoint: { type: 'survival', time: 'os_days', event: 'os', horizon: 730 },
        features: ['f*', 'g1'],
        covariates: [{ column: 'sex', levels: ['F', 'M'] }],
        split: { column: 'part', train: 'a', test: 'b' },
        batch: 'scanner',
      },
      model: { type: 'cox', strata: 'site', lambda: 'cv' },
      harmonization: { method: 'none' },
      validation: { folds: 3, leaveOneSiteOut: true, leaveOut: [['alder', 'birch']], arms: ['none', 'zscore'] },
      privacy: { showAggregate: ['alder', 'birch', 'cedar'] },
      acceptance: [{ metric: 'cIndex', where: 'external', minimum: 0.6 }],
    }),
    fuzzStudy({ model: { type: 'mlp', hidden: [4, 3] }, validation: { folds: 2 } }),
  ];
  return { texts: studies.map((study) => stringify(study)), values: studies as readonly unknown[] };
};

export const STUDY_YAML: FuzzKind = {
  name: 'study.yaml',
  weight: 0.6,
  prepare() {
    const { texts, values } = STUDY_TEXTS();
    return {
      make: (random) => yamlCase(random, texts, values),
      run(input) {
        const study = parseStudy(textOf(input), 'study.yaml');
        const hash = studyHash(study);
        if (studyHash(readStudyDocument(studyDocument(study), hash)) !== hash)
          throw new Broken('a study has another hash after it travelled');
        planStudy(study);
      },
    };
  },
};

/** The document as a coordinator sends it, under the hash that fits whatever it became. */
export const STUDY_DOCUMENT: FuzzKind = {
  name: 'study-document',
  weight: 4,
  prepare() {
    const { values } = STUDY_TEXTS();
    return {
      make: (random) => jsonOrText(random, jsonText(mutateValue(random, pick(random, values))), mutateText),
      run(input) {
        let hash = '00'.repeat(32);
        try {
          hash = studyHash(JSON.parse(textOf(input)) as never);
        } catch {
          // No JSON, or none that can be hashed: refused under any hash.
        }
        planStudy(readStudyDocument(input, hash));
      },
    };
  },
};

export const COHORT_YAML: FuzzKind = {
  name: 'cohort.yaml',
  weight: 0.6,
  prepare() {
    const value = {
      concordat: 1,
      table: 'cases.csv',
      id: 'patient_id',
      separator: ';',
      decimal: ',',
      missing: ['', 'NA', -9],
      site: 'hospital',
      columns: { sex: 'Geschlecht', age: 'Alter' },
      values: { sex: { w: 'F', m: 'M' }, mvi: { ja: 1, nein: 0 } },
    };
    return {
      make: (random) => yamlCase(random, [stringify(value)], [value]),
      run: (input) => void parseCohortConfig(textOf(input), 'cohort.yaml'),
    };
  },
};

/** A table under a mapping that may be odd too: names of columns are chosen by the study. */
export const COHORT_CSV: FuzzKind = {
  name: 'cohort.csv',
  weight: 2,
  prepare() {
    const study = fuzzStudy();
    const table = fuzzTable('alder', 12);
    const mapping = { columns: { mvi: 'mvi' }, values: { mvi: { ja: '1' } }, missing: ['', 'NA'] };
    const marks = [
      '"',
      ',',
      ';',
      '\r\n',
      '\n',
      '""',
      '\ufeff',
      '\u0000',
      '1e309',
      '-',
      'NA',
      '=1+1',
      'NaN',
      'Infinity',
    ];
    return {
      make(random) {
        const text = random.integer(200) === 0 ? hugeTable(random) : mutateText(random, table, marks);
        return pack({ text, mapping: random.integer(3) === 0 ? mutateValue(random, mapping) : mapping });
      },
      run(input) {
        const { text, mapping: given } = unpack(input) as { text: string; mapping: object };
        const yaml = JSON.stringify({ concordat: 1, table: 'cases.csv', id: 'patient_id', ...given });
        const config = parseCohortConfig(yaml, 'cohort.yaml');
        const parsed = parseTable(text, 'cases.csv', config.separator);
        const { cohort } = cohortOf(study, config, parsed, 'alder', config.site ?? null);
        if (cohort.n > parsed.rows.length) throw new Broken('more cases than rows');
      },
    };
  },
};

function hugeTable(random: SeededRandom): string {
  const wide = 20_000;
  switch (random.integer(5)) {
    case 0:
      return `${'a,'.repeat(wide)}\n1\n`;
    case 1:
      return `${Array.from({ length: wide }, (_, i) => `c${i}`).join(',')}\n${'1,'.repeat(wide)}\n`;
    case 2:
      return `patient_id,f0\n"${'x'.repeat(50_000)}`;
    case 3:
      return `patient_id,f0,f1,age,mvi\n${'\n'.repeat(30_000)}`;
    default:
      return `patient_id,f0,f1,age,mvi\n${'p,q\n'.repeat(5000)}`;
  }
}

export const POLICY_YAML: FuzzKind = {
  name: 'policy.yaml',
  weight: 0.6,
  prepare() {
    const value = {
      concordat: 1,
      minimumCohort: 12,
      minSites: 4,
      computations: ['describe', 'cox'],
      secureAggregation: 'required',
      visibility: { metrics: true, aggregate: false },
      automaticApproval: false,
    };
    return {
      make: (random) => yamlCase(random, [stringify(value)], [value]),
      run: (input) => void parsePolicy(textOf(input), 'policy.yaml'),
    };
  },
};

export const INVITATION: FuzzKind = {
  name: 'invitation',
  weight: 1,
  prepare() {
    const value = {
      format: 'concordat-invitation-1',
      site: 'alder',
      coordinator: 'example.org:7443',
      authority: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      consortiumPublicKey: 'ab'.repeat(32),
      token: 'cd'.repeat(32),
      expiresAt: '2026-12-01T00:00:00Z',
    };
    return {
      make: (random) => jsonOrText(random, jsonText(mutateValue(random, value)), mutateText),
      run: (input) => void parseInvitation(textOf(input)),
    };
  },
};
