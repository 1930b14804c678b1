import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { expect, it } from 'vitest';
import { simulateTable } from '../../cli/simulate-table.js';
import { studySites } from '../../shared/study.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { referenceFolder } from '../support/reference.js';
import { readResult, sha256, TestFederation } from './support.js';

/**
 * Real patients: the six regions of FLamby's Fed-TCGA-BRCA as six site processes and a coordinator, each site with the rows
 * of its own region only. Needs CONCORDAT_DATA.
 */
const data = referenceFolder('CONCORDAT_DATA', 'fed_tcga_brca');

it.skipIf(data === null)(
  'BRCA in seven real processes: the bytes of result.json that `simulate` gives',
  async () => {
    const table = path.join(data!, 'fed_tcga_brca.csv');
    const [header, ...rows] = readFileSync(table, 'utf8').trimEnd().split(/\r?\n/);
    const [columns] = parse(header!) as string[][];
    const example = fileURLToPath(new URL('../../examples/fed-tcga-brca.yaml', import.meta.url));
    const study = resolveFeatures(parseStudy(readFileSync(example, 'utf8'), 'fed-tcga-brca.yaml'), columns!, [
      'pid',
      'region',
    ]);
    const region = columns!.indexOf('region');
    // The columns before it hold plain codes, so the rows can be split at commas.
    const rowsOf = (site: string) => rows.filter((row) => row.split(',')[region] === site);
    const sites = studySites(study);
    expect(sites.length).toBe(6);
    expect(sites.reduce((sum, site) => sum + rowsOf(site).length, 0)).toBe(rows.length);
    const federation = await TestFederation.start(sites, {
      table: (site) => `${[header, ...rowsOf(site)].join('\n')}\n`,
      cohortYaml: 'concordat: 1\ntable: cases.csv\nid: pid\n',
    });
    try {
      await federation.propose(study);
      const bundle = await federation.published(study);
      const simulated = simulateTable(study, {
        table,
        siteColumn: 'region',
        idColumn: 'pid',
        oneHolder: false,
        guard: true,
      });
      expect(sha256(readResult(bundle))).toBe(sha256(simulated.files.get('result.json')!));
      expect(federation.verify(bundle)).toMatchObject({ problems: [], ratified: sites });
      for (const site of sites) expect(federation.ledger(site).every((entry) => entry.masked)).toBe(true);
    } finally {
      await federation.stop();
    }
  },
  300_000,
);
