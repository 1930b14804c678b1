import { expect, it } from 'vitest';
import { runConformance } from '../conformance/runner.js';
import { referenceFolder } from '../support/reference.js';

const folder = referenceFolder('CONCORDAT_REFERENCE', 'stats');

it.skipIf(folder === null)(
  'every comparison with the reference values passes',
  () => {
    const run = runConformance({ directory: folder! });
    const failed = run.rows.filter((row) => row.status === 'fail');
    expect(failed.map((row) => `${row.case} ${row.quantity} ${row.reference}: ${row.reason}`)).toEqual([]);
    expect(run.exitStatus).toBe(0);
  },
  300_000,
);
