import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { errorJson, errorText } from '../../cli/format.js';
import { ConcordatError } from '../../shared/errors.js';
import { seededRandom } from '../../shared/rng.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { cohortOf, cohortsFromTable } from '../../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../../site-agent/cohort-config.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { simulateCohort } from '../support/simulated-cohort.js';

/** Planted cell contents must never come back in an error or a warning, whatever else is wrong with the table. */
const CANARIES = [
  'CANARY-7431',
  '7431.7431',
  'CANARY "7431',
  '-7431e999',
  'CANARY,7431',
  "=CANARY('7431')",
  'CANARY\t7431',
];
const sim = simulateCohort(3);
const lines = sim.pooledCsv.trim().split('\n');
const header = lines[0]!.split(',');
const study = resolveFeatures(parseStudy(sim.studyYaml, 'study.yaml'), header, ['patient_id', 'hospital']);
const mapping = { ...PLAIN_MAPPING, id: 'patient_id' };

describe('patient data in errors', () => {
  it('never appears, over 300 damaged tables', () => {
    let thrown = 0;
    for (let seed = 0; seed < 300; seed++) {
      const random = seededRandom('canary', seed);
      const rows = lines.slice(1, 60).map((line) => line.split(','));
      for (let hits = 0; hits < 1 + random.integer(6); hits++) {
        const row = rows[random.integer(rows.length)]!;
        row[random.integer(row.length)] = CANARIES[random.integer(CANARIES.length)]!;
      }
      const csv = [header.join(','), ...rows.map((row) => row.join(','))].join('\n');
      const seen: string[] = [];
      try {
        const table = parseTable(csv, 'cases.csv');
        const loads =
          seed % 2 === 0
            ? cohortsFromTable(study, mapping, table, 'hospital', { oneHolder: true })
            : [cohortOf(study, mapping, table, 'alder', 'hospital')];
        seen.push(JSON.stringify(loads.flatMap(({ warnings }) => warnings)));
      } catch (error) {
        thrown++;
        expect(error).toBeInstanceOf(ConcordatError);
        const known = error as ConcordatError;
        seen.push(known.message, known.stack ?? '', errorText(known), errorJson(known), inspect(known, { depth: 10 }));
      }
      expect(seen.join('\n'), `seed ${seed}`).not.toMatch(/7431|CANARY/);
    }
    expect(thrown).toBeGreaterThan(200);
  });
});
