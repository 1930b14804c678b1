import { rowsOfFit, type SiteView } from '../../cohort.site.js';
import type { Fit } from '../../fits.js';
import { powerOfTwo } from '../../fixed-point.js';
import { anovaSums } from '../../metrics/icc.js';
import { EXPONENT_BINS, markExponent } from '../../scaling.js';
import type { SiteHalf } from '../computation.js';
import { COUNTS, SQUARES, type StabilityBroadcast, type StabilitySpec } from './declaration.js';

/** Sums of squares of the repeated measurements of the fit's training patients, site by site. */
export const stabilitySite: SiteHalf<StabilitySpec, StabilityBroadcast> = {
  name: 'stability',
  contribute(spec, broadcast, view) {
    const contribution = new Map<string, Float64Array>();
    if (view.cohort.repeats === undefined) return contribution;
    const p = spec.frame.features.length;
    for (const [index, fit] of spec.fits.entries()) {
      const sites = repeatedRows(view, fit);
      if (sites.length === 0) continue;
      if (broadcast.phase === 'exponents') {
        const exponents = new Float64Array(p * EXPONENT_BINS);
        const counts = new Float64Array(p * COUNTS.size);
        for (const rows of sites)
          for (let j = 0; j < p; j++) {
            const measured = centred(spec, view, rows, j);
            if (measured === null) continue;
            counts[j * COUNTS.size + COUNTS.sites]! += 1;
            counts[j * COUNTS.size + COUNTS.subjects]! += measured.length / spec.repeats;
            let largest = 0;
            for (const value of measured) largest = Math.max(largest, Math.abs(value));
            markExponent(exponents, j, largest, spec.frame.features[j]!);
          }
        contribution.set(`${fit.id}/exponents`, exponents);
        contribution.set(`${fit.id}/counts`, counts);
        continue;
      }
      const { exponents } = broadcast.fits[index]!;
      const squares = new Float64Array(p * SQUARES.size);
      for (const rows of sites)
        for (let j = 0; j < p; j++) {
          const measured = centred(spec, view, rows, j);
          if (measured === null) continue;
          const scale = powerOfTwo(-exponents[j]!);
          const sums = anovaSums(
            measured.map((value) => value * scale),
            spec.repeats,
          );
          squares[j * SQUARES.size + SQUARES.between]! += sums.between;
          squares[j * SQUARES.size + SQUARES.within]! += sums.within;
          squares[j * SQUARES.size + SQUARES.raters]! += sums.raters;
        }
      contribution.set(`${fit.id}/squares`, squares);
    }
    return contribution;
  },
};

/** The fit's training rows by site label; only cohorts with repeats are asked. */
function repeatedRows(view: SiteView, fit: Fit): number[][] {
  const { cohort } = view;
  const mask = rowsOfFit(cohort, fit);
  const rows = cohort.sites.map((): number[] => []);
  for (let row = 0; row < cohort.n; row++) if (mask[row] === 1) rows[cohort.siteOf[row]!]!.push(row);
  return rows.filter((list) => list.length > 0);
}

/**
 * All measurements of a feature, patients × repeats, from one site's patients who have every one of them, centred by their mean so that a large
 * mean costs no digits; null where they are fewer than the minimum count (or than two).
 *
 * An inner-fold cell with fewer such patients than the minimum count takes no part in any fit: two fits differ by whole cells, so the difference of
 * their sums would else be one patient's readings.
 */
function centred(spec: StabilitySpec, view: SiteView, rows: readonly number[], feature: number): Float64Array | null {
  const { repeats: k, frame } = spec;
  const { repeats, cellOf } = view.cohort;
  const p = frame.features.length;
  if (repeats === undefined || repeats.count !== k) return null;
  const least = Math.max(2, frame.minimumCount);
  const inCell = new Map<number, number[]>();
  for (const row of rows) {
    let whole = true;
    for (let r = 0; r < k; r++) if (Number.isNaN(repeats.values[(row * k + r) * p + feature]!)) whole = false;
    if (!whole) continue;
    const cell = cellOf[row]!;
    const known = inCell.get(cell);
    if (known === undefined) inCell.set(cell, [row]);
    else known.push(row);
  }
  const kept = new Set([...inCell.values()].filter((own) => own.length >= least).flat());
  const found: number[] = [];
  for (const row of rows)
    if (kept.has(row)) for (let r = 0; r < k; r++) found.push(repeats.values[(row * k + r) * p + feature]!);
  if (found.length === 0) return null;
  const mean = found.reduce((sum, value) => sum + value / found.length, 0);
  return Float64Array.from(found, (value) => value - mean);
}
