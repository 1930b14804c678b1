import { EXPONENT_BINS, EXPONENT_LOWEST, EXPONENT_STEP } from '../../scaling.js';
import type { DescribeSpec, Frame } from '../frame.js';
import * as received from '../received.js';
import { describedSitesOf, numericColumns, studySitesOf } from './declaration.js';

/** Patients of one site, at most: whole numbers beyond are none. */
const PATIENTS_MAX = 2 ** 31 - 1;
const PHASES = ['counts', 'sums', 'central', 'histograms'] as const;

export const EXPONENT_HIGHEST = EXPONENT_LOWEST + EXPONENT_STEP * (EXPONENT_BINS - 1);

/** `describe` has four rounds, each once: a phase that comes at another iteration is refused. */
export function checkDescribeBroadcast({ frame }: DescribeSpec, broadcast: unknown, iteration: number): void {
  const phase = PHASES[iteration - 1];
  if (phase === undefined) throw received.invalid('describe', 'has no such round');
  received.oneOf(received.anyRecord(broadcast, 'describe')['phase'], 'phase', [phase]);
  const columns = numericColumns(frame).length;
  const taking = (value: unknown) => received.names(value, 'sites', describedSitesOf(frame));
  const exponents = (value: unknown) =>
    received.integers(value, 'exponents', columns, EXPONENT_LOWEST, EXPONENT_HIGHEST);
  if (phase === 'counts') {
    received.record(broadcast, 'describe', ['phase']);
  } else if (phase === 'sums') {
    const read = received.record(broadcast, 'describe', [
      'phase',
      'exponents',
      'sites',
      'hidden',
      'shown',
      'pooledEvents',
    ]);
    exponents(read['exponents']);
    taking(read['sites']);
    hiddenSites(frame, read['hidden']);
    received.names(read['shown'], 'shown', studySitesOf(frame));
    const pooled = received.names(read['pooledEvents'], 'pooledEvents', studySitesOf(frame));
    if (pooled.length > 0 && pooled.length < frame.minSites)
      throw received.invalid('pooledEvents', 'are too few sites');
  } else if (phase === 'central') {
    const read = received.record(broadcast, 'describe', ['phase', 'exponents', 'sites', 'mean']);
    exponents(read['exponents']);
    taking(read['sites']);
    received.numbers(read['mean'], 'mean', columns, received.VALUE_LIMIT);
  } else {
    const read = received.record(broadcast, 'describe', ['phase', 'sites', 'patients', 'binnings']);
    const sites = taking(read['sites']);
    const patients = received
      .listOf(read['patients'], 'patients', sites.length)
      .map((count) => received.integer(count, 'patients', frame.minimumCohort, PATIENTS_MAX))
      .reduce((sum, count) => sum + count, 0);
    for (const binning of received.listOf(read['binnings'], 'binnings', columns)) {
      const { low, width, bins } = received.record(binning, 'binning', ['low', 'width', 'bins']);
      received.number(low, 'low', -2 * received.VALUE_LIMIT, 2 * received.VALUE_LIMIT);
      received.number(width, 'width', Number.MIN_VALUE, 2 * received.VALUE_LIMIT);
      // Two of them are for what lies beyond; 0 where the column has no histogram.
      if (bins !== 0) received.integer(bins, 'bins', 3, Math.floor(patients / Math.max(1, frame.minimumCount)));
    }
  }
}

/** Of the result sites use who sits out, whose columns are described and who keeps a number of events back. */
export function checkDescribeResult({ frame }: DescribeSpec, result: unknown): void {
  const { excludedSites, describedSites, hidden } = received.anyRecord(result, 'result of describe');
  received.names(excludedSites, 'excludedSites', studySitesOf(frame));
  received.names(describedSites, 'describedSites', studySitesOf(frame));
  hiddenSites(frame, hidden);
}

function hiddenSites(frame: Frame, value: unknown): void {
  const { whole, parts } = received.record(value, 'hidden', ['whole', 'parts']);
  received.names(whole, 'whole', studySitesOf(frame));
  received.names(parts, 'parts', studySitesOf(frame));
}
