import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { simulateTable } from '../../cli/simulate-table.js';
import { parseStudy, resolveFeatures } from '../../shared/study-parse.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { expectClose, readJson, readRows, referenceFolder } from '../support/reference.js';

/**
 * The study files under examples/, through the whole path (study.yaml, table, rounds, result.json), against
 * survival::coxph 3.5-3. What is compared is read from the bytes of result.json.
 */
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

interface Coefficient {
  readonly feature: string;
  readonly value: number | null;
  readonly se: number | null;
  readonly status: string;
}
interface Metric {
  readonly value: number;
}
interface Model {
  readonly coefficients: readonly Coefficient[];
  readonly converged: boolean;
  readonly logLikelihood: number;
  readonly nullLogLikelihood: number;
  readonly n: number;
  readonly notes: readonly string[];
  readonly disclosive?: boolean;
  readonly folds: Record<string, Omit<Model, 'folds'>>;
}
interface Result {
  readonly model: Model;
  readonly outcome: { readonly n: number; readonly events: number | { readonly suppressed: true } };
  readonly validation: {
    readonly folds: readonly { readonly name: string; readonly sites: Record<string, Record<string, Metric | null>> }[];
  };
  readonly notes: readonly { readonly path: string; readonly reason: string }[];
}

/** The result of one study file; `edit` changes its text first, as a user would. */
function resultOf(
  name: string,
  table: string,
  siteColumn: string,
  options: { edit?: (text: string) => string; oneHolder?: boolean; cohort?: string } = {},
): Result {
  const text = (options.edit ?? ((same) => same))(readFileSync(path.join(EXAMPLES, name), 'utf8'));
  const { header } = parseTable(readFileSync(table, 'utf8'), path.basename(table));
  const parsed = parseStudy(text, name);
  const study = name.startsWith('fed-') ? resolveFeatures(parsed, header, ['pid']) : parsed;
  const { files } = simulateTable(study, {
    table,
    siteColumn,
    oneHolder: options.oneHolder === true,
    guard: true,
    ...(options.cohort === undefined ? {} : { cohortYaml: path.join(EXAMPLES, options.cohort) }),
  });
  return JSON.parse(Buffer.from(files.get('result.json')!).toString('utf8')) as Result;
}

const brca = referenceFolder('CONCORDAT_DATA', 'fed_tcga_brca');
describe.skipIf(brca === null)('Fed-TCGA-BRCA through the whole study', () => {
  const table = path.join(brca ?? '', 'fed_tcga_brca.csv');
  const rows = brca === null ? [] : readRows(table);
  const train = rows.filter((row) => row['split'] === 'train');
  const reference = brca === null ? [] : readRows(brca, 'reference_cox_exact_coefs.csv');
  const concordances = brca === null ? [] : readRows(brca, 'reference_cox_exact_cindex.csv');
  const features = reference.map((row) => row['']!);
  /** R's scale(): the reference's coefficients belong to columns divided by this. */
  const sd = features.map((name) => {
    const column = train.map((row) => Number(row[name]));
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    return Math.sqrt(column.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (column.length - 1));
  });
  const centerOf = new Map(rows.map((row) => [row['region']!, row['center']!]));

  /** C of the split's test cases per region; suppressed with all that depends on deaths where these are fewer than five. */
  const compareConcordance = (result: Result, row: string): string[] => {
    const fold = result.validation.folds.findIndex(({ name }) => name === 'split');
    const want = concordances.find((entry) => entry[''] === row)!;
    const estimated: string[] = [];
    for (const [site, metrics] of Object.entries(result.validation.folds[fold]!.sites)) {
      const deaths = rows.filter((r) => r['region'] === site && r['split'] === 'test' && Number(r['event']) === 1);
      const metric = metrics['cIndex'];
      if (deaths.length < 5) {
        for (const hidden of Object.values(metrics)) expect(hidden, site).toEqual({ suppressed: true });
        continue;
      }
      // C is a ratio of whole and half pairs; the reference prints it with 15 digits.
      expectClose([metric!.value], [Number(want[`client_test_${centerOf.get(site)}`])], {
        abs: 1e-14,
        rel: 0,
        source: `${row} ${site}`,
      });
      estimated.push(site);
    }
    return estimated;
  };

  for (const theta of [1, 5])
    it(`six regions, stratified, ridge(theta = ${theta}): coefficients at 1e-6, C on the test split`, () => {
      const edit = (text: string) => text.replace('lambda: 1', `lambda: ${theta}`);
      const result = resultOf('fed-tcga-brca.yaml', table, 'region', { edit });
      const { model } = result;
      expect(model.n).toBe(train.length);
      expect(model.converged).toBe(true);
      const got = features.map(
        (name, j) => model.coefficients.find(({ feature }) => feature === name)!.value! * sd[j]!,
      );
      const column = `stratified_ridge_theta${theta}_efron_zscored`;
      const want = reference.map((row) => Number(row[column]));
      expectClose(got, want, { abs: 1e-6, rel: 0, source: column });
      const worst = got.reduce((most, value, j) => Math.max(most, Math.abs(value - want[j]!)), 0);
      console.info(`BRCA ${column}: worst difference ${worst.toExponential(1)} over ${got.length} coefficients`);
      expect(compareConcordance(result, `sridge${theta}`)).toEqual(['Northeast', 'West']);
    });

  for (const ties of ['efron', 'breslow'])
    it(`one holder, no penalty, ${ties}: finite coefficients at 1e-6; aliased and infinite ones named`, () => {
      const edit = (text: string) => text.replace('ties: efron', `ties: ${ties}`);
      const result = resultOf('fed-tcga-brca-one-holder.yaml', table, 'region', { edit, oneHolder: true });
      const { model } = result;
      expect(model.disclosive).toBe(true);
      const column = `unpenalised_${ties}`;
      const want = new Map(reference.map((row) => [row['']!, Number(row[column])]));
      const named = (status: string) => model.coefficients.filter((entry) => entry.status === status);
      const names = (status: string) => named(status).map(({ feature }) => feature);
      // R reports aliased ones as NA (0 in the file); where the likelihood is monotone its iterates stop at 11 to 14.
      expect(names('aliased')).toEqual(features.filter((name) => want.get(name) === 0));
      expect(names('aliased')).toHaveLength(7);
      expect(names('infinite')).toEqual(features.filter((name) => Math.abs(want.get(name)!) > 10));
      for (const name of [...names('aliased'), ...names('infinite')]) expect(model.notes.join('; ')).toContain(name);
      for (const name of names('infinite')) {
        const at = model.coefficients.findIndex(({ feature }) => feature === name);
        expect(model.coefficients[at]).toMatchObject({ value: null, sign: Math.sign(want.get(name)!) });
        const reason = want.get(name)! > 0 ? 'infinite' : 'negative infinite';
        expect(result.notes).toContainEqual({ path: `/model/coefficients/${at}/value`, reason });
      }
      const ok = named('ok');
      expect(ok).toHaveLength(26);
      const got = ok.map(({ value }) => value!);
      const expected = ok.map(({ feature }) => want.get(feature)!);
      expectClose(got, expected, { abs: 1e-6, rel: 0, source: column });
      const worst = got.reduce((most, value, j) => Math.max(most, Math.abs(value - expected[j]!)), 0);
      console.info(`BRCA ${column}: worst difference ${worst.toExponential(1)} over ${got.length} finite coefficients`);
      expect(compareConcordance(result, `coxph_${ties}`)).toEqual(['Northeast', 'West']);
    });
});

interface LihcFit {
  readonly n: number;
  readonly events: number;
  readonly coef: Record<string, number>;
  readonly se: Record<string, number>;
  readonly loglik_null: number;
  readonly loglik: number;
}

const lihc = referenceFolder('CONCORDAT_DATA', 'tcga_lihc_cdr');
describe.skipIf(lihc === null)('TCGA-LIHC through the whole study', () => {
  const table = path.join(lihc ?? '', 'tcga_lihc_cdr.csv');
  const reference =
    lihc === null ? {} : (readJson(lihc, 'reference_cox.json') as { results: Record<string, unknown> }).results;
  const cohort = 'tcga-lihc.cohort.yaml';
  /** The reference's names, in the study's order. */
  const order = [
    ['stage_num', 'stage_num'],
    ['genderMALE', 'male'],
    ['age', 'age'],
  ] as const;

  const compareFit = (result: Result, source: string): void => {
    const want = reference[source] as LihcFit;
    const { model } = result;
    expect(model.coefficients.map(({ feature }) => feature)).toEqual(order.map(([own]) => own));
    expect(model.n).toBe(want.n);
    // Where one or two sites have few patients without progression, the study's number would tell theirs.
    const { events } = result.outcome;
    if (typeof events === 'number') expect(events).toBe(want.events);
    else expect(source).toContain('PFI');
    // The reference is printed with 11 significant digits.
    const tolerance = { abs: 1e-12, rel: 2e-10, source };
    const coef = order.map(([, theirs]) => want.coef[theirs]!);
    const se = order.map(([, theirs]) => want.se[theirs]!);
    expectClose(
      model.coefficients.map(({ value }) => value!),
      coef,
      tolerance,
    );
    expectClose(
      model.coefficients.map(({ se: own }) => own!),
      se,
      tolerance,
    );
    expectClose([model.nullLogLikelihood, model.logLikelihood], [want.loglik_null, want.loglik], tolerance);
  };

  /** C at each held-out site where it can be estimated and shown: at least five events, and as many without. */
  const heldOutConcordance = (result: Result): Record<string, number> =>
    Object.fromEntries(
      result.validation.folds.flatMap(({ name, sites }) => {
        const site = name.slice('without-'.length);
        const metric = name === `without-${site}` ? sites[site]!['cIndex'] : null;
        return metric == null || metric.value === undefined ? [] : [[site, metric.value]];
      }),
    );

  // Progression is the same study with two names changed, and has a second set of reference values.
  const study = (endpoint: string, ties: string) => (text: string) =>
    text.replace('time: OS_days, event: OS', `time: ${endpoint}_days, event: ${endpoint}`).replace('efron', ties);

  for (const endpoint of ['OS', 'PFI'])
    for (const ties of ['efron', 'breslow']) {
      const edit = study(endpoint, ties);
      it(`${endpoint}, ${ties}, one holder, one risk set: coefficients, standard errors, log-likelihoods, held-out C`, () => {
        const result = resultOf('tcga-lihc-one-holder.yaml', table, 'fed_site', { cohort, oneHolder: true, edit });
        expect(result.model.disclosive).toBe(true);
        compareFit(result, `${endpoint}|pooled|${ties}`);
        if (ties === 'breslow') return;
        const source = `${endpoint}|leave_one_site_out_C_efron`;
        const want = reference[source] as Record<string, number>;
        const got = heldOutConcordance(result);
        const few = endpoint === 'PFI' ? ['BC'] : [];
        const sites = Object.keys(want).filter((site) => !few.includes(site));
        expect(Object.keys(got).sort()).toEqual([...sites].sort());
        expectClose(
          sites.map((site) => got[site]!),
          sites.map((site) => want[site]!),
          { abs: 1e-11, rel: 0, source },
        );
      });

      it(`${endpoint}, ${ties}, six sites, stratified: coefficients, standard errors, log-likelihoods`, () => {
        const result = resultOf('tcga-lihc.yaml', table, 'fed_site', { cohort, edit });
        expect(result.model.disclosive).toBeUndefined();
        compareFit(result, `${endpoint}|stratified_by_fed_site|${ties}`);
        if (ties === 'breslow') return;
        const pooled = reference[`${endpoint}|leave_one_site_out_C_efron`] as Record<string, number>;
        for (const [site, value] of Object.entries(heldOutConcordance(result)))
          console.info(
            `LIHC ${endpoint} at ${site}, held out: C ${value.toFixed(3)} stratified, ${pooled[site]!.toFixed(3)} unstratified`,
          );
      });
    }
});
