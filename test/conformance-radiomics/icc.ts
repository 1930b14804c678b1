import {
  anovaSums,
  ICC_KINDS,
  type Icc,
  type IccKind,
  icc as iccOf,
  iccOfMean,
  iccTest,
} from '../../shared/metrics/icc.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

/** A table of ratings, subjects by raters, with what a published example says of it, rounded to `decimals`. */
interface IccReference {
  readonly rows_targets_cols_raters: readonly (readonly number[])[];
  readonly expected: Readonly<Record<string, number>>;
  readonly decimals: number;
  /** Of ICC(1,·), ICC(2,·), ICC(3,·), in this order. */
  readonly F?: readonly number[];
  readonly df1?: number;
  readonly df2?: readonly number[];
  readonly p?: readonly number[];
  readonly CI95_single?: Readonly<Record<string, readonly [number, number]>>;
  readonly CI95_average?: Readonly<Record<string, readonly [number, number]>>;
}

/**
 * The published p of ICC(1,1), 0.16472, is not that of its own table: the mean squares are 11.24167 and 6.26389, so F(5, 18) is 1.794678 and p
 * 0.164769, which SciPy's f.sf gives too. R's psych, where it comes from, rounds on its way; this share allows for that, in p alone.
 */
const P_SHARE = 1e-3;

/** Intraclass correlations against the published example: within half a unit of the last published digit. */
export const icc: Part = {
  name: 'icc',
  run(references: Folder, sheet: Sheet): void {
    for (const file of references.list('icc', /\.json$/)) {
      const place = (quantity: string) => ({ case: file.replace(/\.json$/, ''), quantity, reference: `icc/${file}` });
      let reference: IccReference;
      try {
        reference = references.json<IccReference>('icc', file);
        if (!Array.isArray(reference.rows_targets_cols_raters)) throw new Error('it has no table of ratings');
      } catch (error) {
        sheet.unreadable(place('icc'), error);
        continue;
      }
      for (const [quantity, pairs] of quantities(reference))
        if (pairs.length > 0) sheet.compare(place(quantity), pairs);
    }
  },
};

function quantities(reference: IccReference): [string, Pair[]][] {
  const rows = reference.rows_targets_cols_raters;
  const k = rows[0]!.length;
  const sums = anovaSums(Float64Array.from(rows.flat()), k);
  const of = (name: string): Icc | undefined => {
    const single = ICC_KINDS.find((kind) => kind.slice(0, 6) === name.slice(0, 6));
    if (single === undefined) return undefined;
    const found = iccOf(single, sums, k);
    return name.endsWith(',k)') ? iccOfMean(found, k) : found;
  };
  const { decimals } = reference;
  const intervals = (single: string, table: IccReference['CI95_single']) =>
    Object.entries(table ?? {}).flatMap(([name, [low, high]]) => {
      const found = of(name.replace(/,[1k]\)$/, single));
      return [rounded(`${name} low`, low, found?.low, decimals), rounded(`${name} high`, high, found?.high, decimals)];
    });
  const tests = ICC_KINDS.map((kind: IccKind) => iccTest(kind, sums, k));
  const each = (list: readonly number[] | undefined, name: string, got: (at: number) => number | null, share = 0) =>
    (list ?? []).map((want, at) =>
      rounded(`${name} of ${ICC_KINDS[at]}`, want, got(at), decimalsOf(list!), share * want),
    );
  return [
    ['value', Object.entries(reference.expected).map(([name, want]) => rounded(name, want, of(name)?.value, decimals))],
    ['interval', [...intervals(',1)', reference.CI95_single), ...intervals(',k)', reference.CI95_average)]],
    [
      'F test',
      [
        ...each(reference.F, 'F', (at) => tests[at]!.f),
        ...(reference.df1 === undefined ? [] : [rounded('df1', reference.df1, tests[0]!.df1, decimals)]),
        ...each(reference.df2, 'df2', (at) => tests[at]!.df2),
        ...each(reference.p, 'p', (at) => tests[at]!.p, P_SHARE),
      ],
    ],
  ];
}

/** Digits behind the point of a list printed alike: 11 beside 1.8 was printed as 11.0. */
const decimalsOf = (list: readonly number[]): number =>
  Math.max(...list.map((value) => (String(value).split('.')[1] ?? '').length));

/** Equal to what was published once rounded as it was: at most half a unit of the last digit away, and `more`. */
function rounded(name: string, want: number, got: number | null | undefined, decimals: number, more = 0): Pair {
  const half = 0.5 / 10 ** decimals;
  const error = got === null || got === undefined ? Infinity : Math.abs(got - want) / (half * (1 + 1e-9) + more);
  return { name, want, got, rule: { passed: error <= 1, error } };
}
