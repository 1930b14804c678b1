import { ConcordatError } from '../../shared/errors.js';
import { type ConformanceCase, type GoldenEntry, pathIn } from './case-model.js';
import { type CombatData, readData, rowPositions } from './combat-data.js';
import { type CombatAnswer, type CombatOptions, runCombat } from './combat-fit.js';
import type { CaseRows } from './federation.js';
import { lazily } from './glm.js';
import { isRecord, numeric, readTable } from './readers.js';
import { type KindRunner, NotCovered, Reported, type Sheet } from './sheet.js';

const LATER = 'part of the statistics issue';

/** combat, combat_apply, dcombat: federated ComBat without site blocks against sva, neuroCombat and their relatives. */
export const combatRunner: KindRunner = {
  quantityOf(file, path, one) {
    const entry = one.document.files[file];
    const where = rowsPrefix(one, entry);
    if (entry?.['output'] === 'payloads') return path.length === 0 ? 'payload' : `payload.${path[0]!}`;
    if (path.length === 0) return entry?.['output'] === 'estimates' ? 'estimates' : `${where}harmonized`;
    return `${where}${path.join('.')}`;
  },
  run(one, sheet) {
    const data = readData(one);
    const answers = new Map<string, () => CombatAnswer>();
    const answerOf = (options: { mode: CombatOptions['mode']; mod: boolean }): CombatAnswer => {
      const key = JSON.stringify(options);
      if (!answers.has(key))
        answers.set(
          key,
          lazily(() => run(data, options.mode, options.mod)),
        );
      return answers.get(key)!();
    };
    for (const [file, entry] of Object.entries(one.document.files)) {
      if (entry['output'] === 'harmonized') compareHarmonized(one, sheet, file, entry, data, answerOf);
      else if (entry['output'] === 'estimates') compareEstimates(one, sheet, file, entry, data, answerOf);
      else if (entry['output'] === 'payloads') comparePayloads(sheet, file, data, answerOf);
    }
    for (const key of Object.keys(one.document.expect)) {
      expected(one, sheet, key, answerOf);
      mended(one, sheet, key, data);
    }
  },
};

type AnswerOf = (options: { mode: CombatOptions['mode']; mod: boolean }) => CombatAnswer;

function run(data: CombatData, mode: CombatOptions['mode'], mod: boolean): CombatAnswer {
  return runCombat(data.rows, { mode, design: mod ? data.design : [], train: data.train, heldOut: 'transductive' });
}

/** Why a variant is not offered, or null. */
function uncovered(entry: Readonly<Record<string, unknown>>): string | null {
  if (entry['prior'] === 'nonparametric') return `the non-parametric prior: ${LATER}`;
  if (entry['meanOnly'] === true || entry['effectiveMeanOnly'] === true) return `mean-only ComBat: ${LATER}`;
  if ((entry['referenceBatch'] ?? null) !== null) return `a reference batch: ${LATER}`;
  if (entry['missing'] === 'sva') return 'Concordat divides by the observed rows, as neuroCombat does, not by n - 1';
  if (entry['constant'] === 'fitted')
    return 'Concordat returns a feature that is constant within a site untouched, as sva does';
  if (entry['covariateEffect'] !== undefined) return 'Concordat uses the patient’s own covariates, never their mean';
  return null;
}

function modeOf(entry: Readonly<Record<string, unknown>>): CombatOptions['mode'] {
  return entry['stopping'] === 'converged' ? 'converged' : 'reference';
}

function rowsPrefix(one: ConformanceCase, entry: GoldenEntry | undefined): string {
  const rows = entry?.['rows'];
  const { split } = one.document;
  if (split === null || split === undefined || rows === undefined || rows === split['train']) return '';
  if (entry?.['covariateEffect'] !== undefined) return 'known_site_mean_covariates.';
  return rows === split['newSite'] ? 'new_site.' : 'known_site.';
}

function compareHarmonized(
  one: ConformanceCase,
  sheet: Sheet,
  file: string,
  entry: GoldenEntry,
  data: CombatData,
  answerOf: AnswerOf,
): void {
  sheet.expectation(file);
  const skipped = unreproducible(one, sheet, file, entry);
  const reason = uncovered(entry) ?? (entry['eb'] === false ? `ComBat without shrinkage: ${LATER}` : null);
  if (reason !== null) {
    sheet.unsupported({ file }, reason);
    return;
  }
  const golden = readTable(pathIn(one, file));
  const wanted = [...Array(data.input.n).keys()].filter(
    (row) => data.split === null || entry['rows'] === undefined || data.split[row] === entry['rows'],
  );
  const position = rowPositions(data.input, golden, one.document.id, wanted);
  const others = golden.columns.filter((column) => column !== one.document.id);
  const { features } = one.document;
  const columns = features.map((name, j) => golden.numbers(golden.has(name) ? name : (others[j] ?? name)));
  const cell = (index: number) => ({ j: Math.floor(index / wanted.length), at: index % wanted.length });
  sheet.compare(
    { file },
    () => {
      const { harmonized } = answerOf({ mode: modeOf(entry), mod: entry['mod'] !== false });
      return features.flatMap((_, j) => wanted.map((row) => harmonized[j]![row]!));
    },
    {
      want: columns.flatMap((column) => position.map((row) => column[row]!)),
      tolerance: ['harmonized'],
      scale: (index) => data.sd[cell(index).j]!,
      label: (index) => `${features[cell(index).j]}, site ${data.rows.site[wanted[cell(index).at]!]}`,
      skip: (index) => skipped.includes(data.rows.site[wanted[cell(index).at]!]!),
    },
  );
}

/** Sites whose cells the reference itself decides by rounding. */
function unreproducible(one: ConformanceCase, sheet: Sheet, file: string, entry: GoldenEntry): string[] {
  const family = familyOf(file);
  const expectation = sheet.expectation(`${family}:${String(entry['variant'] ?? '')}`) ?? one.document.expect[file];
  const block = expectation?.['notReproducible'];
  return isRecord(block) && Array.isArray(block['sites']) ? block['sites'].map(String) : [];
}

/** The reference that a golden's folder stands for, as the keys of `expect` name it. */
function familyOf(file: string): string {
  const folder = file.includes('/') ? file.split('/')[0]! : '';
  return folder === 'neurocombat_r' ? 'neurocombat' : folder;
}

function compareEstimates(
  one: ConformanceCase,
  sheet: Sheet,
  file: string,
  entry: GoldenEntry,
  data: CombatData,
  answerOf: AnswerOf,
): void {
  const golden = sheet.json(file);
  const skipped = unreproducible(one, sheet, file, entry);
  const reason = uncovered(entry);
  const prefix = rowsPrefix(one, entry);
  const eb = entry['eb'] !== false;
  const answer = (): CombatAnswer => {
    try {
      return answerOf({ mode: modeOf(entry), mod: entry['mod'] !== false });
    } catch (error) {
      if (!eb && error instanceof ConcordatError && error.code === 'COHORT_TOO_FEW_FEATURES')
        throw new NotCovered(`ComBat without shrinkage: ${LATER}; with it one feature has no prior`);
      throw error;
    }
  };
  const shrunk = ['gamma.bar', 't2', 'a.prior', 'b.prior', 'gamma.star', 'delta.star', 'em.iterations'];
  for (const [key, value] of Object.entries(golden)) {
    if (key === 'note' || key === 'site') continue;
    const place = { file, path: [key] };
    if (reason !== null) sheet.unsupported(place, reason);
    else if (!eb && shrunk.includes(key)) sheet.unsupported(place, `ComBat without shrinkage: ${LATER}`);
    else if (key === 'em.iterations' && modeOf(entry) === 'converged')
      sheet.unsupported(place, 'a converged fit has no prescribed number of steps');
    else {
      const sites = prefix === 'new_site.' ? [String(golden['site'] ?? '')] : siteOrder(golden, data);
      const shape = shapeOf(one, data, key, value, sites, prefix);
      sheet.compare(place, () => shape.places.map((at) => estimateAt(answer(), key, at, data)), {
        want: shape.want,
        tolerance: ['estimates', 'payloads'],
        label: (index) => describe(shape.places[index]!),
        skip: (index) => skipped.includes(shape.places[index]!.row ?? ''),
      });
    }
  }
}

/** Which site (or design column) and which feature a number of a golden belongs to. */
interface EstimatePlace {
  readonly row: string | null;
  readonly feature: number | null;
}

function describe(at: EstimatePlace): string {
  return [at.row, at.feature === null ? null : `feature ${at.feature + 1}`].filter((part) => part !== null).join(', ');
}

const PER_FEATURE = ['stand.mean', 'var.pooled', 'grand.mean'];

/** Sites in the golden's own order: R sorts names by locale, so the rows of its matrices say it, where they are names. */
function siteOrder(golden: Readonly<Record<string, unknown>>, data: CombatData): string[] {
  const trained = [...new Set(data.rows.site.filter((_, row) => data.train[row] === 1))].sort();
  for (const key of ['gamma.hat', 'gamma.star']) {
    const matrix = golden[key];
    const rows = isRecord(matrix) && Array.isArray(matrix['rows']) ? matrix['rows'].map(String) : [];
    if (rows.length === trained.length && rows.every((name) => trained.includes(name))) return rows;
  }
  return trained;
}

/** Names the numbers of an estimate: matrices by their own row and column names, else by the order of sites and features. */
function shapeOf(
  one: ConformanceCase,
  data: CombatData,
  key: string,
  value: unknown,
  trained: readonly string[],
  prefix: string,
): { want: number[]; places: EstimatePlace[] } {
  const want = numeric(value) ?? [];
  const { features } = one.document;
  if (isRecord(value) && Array.isArray(value['rows']) && Array.isArray(value['cols'])) {
    const known = key === 'B.hat' ? [...trained, ...data.design.map((column) => column.name)] : trained;
    const names = value['rows'].map(String);
    const rows = names.map((name, index) => (known.includes(name) ? name : (known[index] ?? name)));
    const columns = value['cols'].map((name, index) => {
      const found = features.indexOf(String(name));
      return found >= 0 ? found : index;
    });
    return { want, places: rows.flatMap((row) => columns.map((feature) => ({ row, feature }))) };
  }
  const places = want.map((_, index): EstimatePlace => {
    if (prefix === 'new_site.') return { row: trained[0]!, feature: index };
    if (PER_FEATURE.includes(key)) return { row: null, feature: index };
    return { row: trained[index] ?? '', feature: null };
  });
  return { want, places };
}

function estimateAt(answer: CombatAnswer, key: string, at: EstimatePlace, data: CombatData): number {
  const { result } = answer;
  const j = at.feature ?? 0;
  const p = data.rows.featureNames.length;
  if (key === 'stand.mean' || key === 'grand.mean') return result.grandMean[j]!;
  if (key === 'var.pooled') return result.pooledVariance[j]!;
  if (key === 'B.hat') {
    const column = result.columns.indexOf(at.row ?? '');
    if (column >= 0) return result.coefficients[column * p + j]!;
  }
  const estimate = answer.estimates.get(at.row ?? '');
  if (estimate === undefined) throw new Error(`no estimates of site ${at.row}`);
  switch (key) {
    case 'gamma.hat':
      return estimate.gammaHat[j]!;
    case 'delta.hat':
      return estimate.deltaHat[j]!;
    case 'gamma.star':
      return estimate.gammaStar[j]!;
    case 'delta.star':
      return estimate.deltaStar[j]!;
    case 'gamma.bar':
      return estimate.gammaBar;
    case 't2':
      return estimate.t2;
    case 'a.prior':
      return estimate.aPrior;
    case 'b.prior':
      return estimate.bPrior;
    case 'em.iterations':
      return estimate.iterations;
    case 'B.hat':
      // A site's own intercept never leaves it: grand mean plus its location in units of the pooled SD.
      return result.grandMean[j]! + estimate.gammaHat[j]! * Math.sqrt(result.pooledVariance[j]!);
    default:
      throw new NotCovered(`Concordat has no estimate ${key}`);
  }
}

function comparePayloads(sheet: Sheet, file: string, data: CombatData, answerOf: AnswerOf): void {
  const golden = sheet.json(file);
  const answer = () => answerOf({ mode: 'reference', mod: true });
  const p = data.rows.featureNames.length;
  for (const key of ['grand.mean', 'var.pooled'])
    if (key in golden)
      sheet.compare(
        { file, path: [key] },
        () => Array.from({ length: p }, (_, feature) => estimateAt(answer(), key, { row: null, feature }, data)),
        { tolerance: ['payloads', 'estimates'] },
      );
  const bHat = golden['B.hat'];
  const names = isRecord(bHat) && Array.isArray(bHat['rows']) ? bHat['rows'].map(String) : [];
  if (names.length > 0)
    sheet.compare(
      { file, path: ['B.hat'] },
      () =>
        names.flatMap((row) =>
          Array.from({ length: p }, (_, feature) => estimateAt(answer(), 'B.hat', { row, feature }, data)),
        ),
      {
        tolerance: ['payloads', 'estimates'],
        label: (index) => `${names[Math.floor(index / p)]}, feature ${(index % p) + 1}`,
      },
    );
}

/** Outcomes that `expect` prescribes for calls without a golden: `family:variant`, or a family alone. */
function expected(one: ConformanceCase, sheet: Sheet, key: string, answerOf: AnswerOf): void {
  const expectation = one.document.expect[key]!;
  const [family, variant] = key.split(':');
  if (variant === undefined) {
    if (family === 'sva' && expectation.outcome === 'fallback' && Array.isArray(expectation['features'])) {
      const listed = expectation['features'].map(String).sort().join(', ');
      sheet.check(key, 'untouched', () => {
        const { result } = answerOf({ mode: 'reference', mod: true });
        const own = one.document.features
          .filter((_, j) => result.untouched[j] === 1)
          .sort()
          .join(', ');
        return own === listed ? null : `left untouched: ${own}; the case expects ${listed}`;
      });
    }
    return;
  }
  if (expectation.outcome !== 'error') return;
  const tokens = variant.split('_');
  const why = uncovered({
    prior: tokens[0] === 'nonpar' ? 'nonparametric' : 'parametric',
    meanOnly: tokens.includes('meanonly'),
    referenceBatch: tokens.includes('ref') ? one.document['referenceBatch'] : null,
  });
  if (why !== null) {
    sheet.remark(key, 'refusal', 'unsupported', why);
    return;
  }
  sheet.refusal(key, 'refusal', () => {
    const answer = answerOf({ mode: 'reference', mod: !tokens.includes('nomod') });
    if (family === 'neurocombat' && answer.result.untouched.includes(1))
      throw new NotCovered('Concordat follows sva here: a feature constant within a site is returned untouched');
    const feature = one.document.features.indexOf(String(expectation['feature']));
    if (feature >= 0 && answer.result.untouched[feature] === 1)
      throw new Reported(`left untouched: ${String(expectation['feature'])}`);
  });
}

/** Where a reference fails and the case wants it to work: Concordat has to give finite values for every observed one. */
function mended(one: ConformanceCase, sheet: Sheet, key: string, data: CombatData): void {
  if (one.document.expect[key]!.outcome !== 'reference_error') return;
  const { rows, design, train } = data;
  const finite = (harmonized: readonly Float64Array[], input: CaseRows): string | null => {
    const wrong = harmonized.flatMap((column, j) =>
      [...column.keys()].filter((row) => !Number.isNaN(input.features[j]![row]!) && !Number.isFinite(column[row]!)),
    );
    return wrong.length === 0 ? null : `${wrong.length} observed values became missing or infinite`;
  };
  if (key.endsWith(':missing'))
    sheet.check(key, 'works', () => {
      // Every seventh value blank, so that each feature has gaps of its own.
      const features = rows.features.map((column, j) =>
        column.map((value, row) => ((row + 3 * j) % 7 === 0 ? Number.NaN : value)),
      );
      const gappy = { ...rows, features };
      return finite(runCombat(gappy, { mode: 'reference', design }).harmonized, gappy);
    });
  else if (data.split !== null)
    // Sites are harmonized one by one at their own holder, so the rows of no other site are needed for any of them.
    sheet.check(key, 'works', () => finite(runCombat(rows, { mode: 'reference', design, train }).harmonized, rows));
}
