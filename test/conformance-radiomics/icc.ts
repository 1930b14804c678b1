import { anovaSums, ICC_KINDS, type IccKind, icc as intraclass } from '../../shared/metrics/icc.js';
import type { Folder, Pair, Part, Sheet } from './part.js';

interface IccReference {
  readonly rows_targets_cols_raters: readonly (readonly number[])[];
  readonly expected: Readonly<Record<string, number>>;
  readonly decimals: number;
  readonly CI95_single?: Readonly<Record<string, readonly [number, number]>>;
}

/** Intraclass correlation of published tables, to the decimals that were published. */
export const icc: Part = {
  name: 'icc',
  run(folder: Folder, sheet: Sheet): void {
    for (const file of folder.list('icc', /\.json$/)) {
      const one = folder.json<IccReference>('icc', file);
      const rows = one.rows_targets_cols_raters;
      const raters = rows[0]!.length;
      const sums = anovaSums(Float64Array.from(rows.flat()), raters);
      const tolerance = 0.5 * Number(`1e-${one.decimals}`) + 1e-12;
      for (const [kind, value] of Object.entries(one.expected)) {
        const at = { case: file.replace(/\.json$/, ''), quantity: kind, reference: `icc/${file}` };
        if (!ICC_KINDS.includes(kind as IccKind)) {
          sheet.unsupported(at, 'means over raters are not offered');
          continue;
        }
        const got = intraclass(kind as IccKind, sums, raters);
        const [low, high] = one.CI95_single?.[kind] ?? [];
        const pairs: Pair[] = [{ name: kind, want: value, got: got.value }];
        if (low !== undefined && high !== undefined)
          pairs.push({ name: 'low', want: low, got: got.low }, { name: 'high', want: high, got: got.high });
        sheet.compare(at, pairs, { rel: 0, abs: tolerance });
      }
    }
  },
};
