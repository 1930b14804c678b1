import type { Cohort } from '../shared/cohort.site.js';
import type { Problem } from '../shared/errors.js';
import type { Study } from '../shared/study.js';
import type { Table } from './cohort-table.site.js';

/** What a data manager should look at: constant or empty features, one outcome class, too few cases. */
export function oddities(study: Study, table: Table, cohort: Cohort): Problem[] {
  const warnings: Problem[] = [];
  const file = table.file;
  const p = cohort.featureNames.length;
  for (const [site, label] of cohort.sites.entries()) {
    const rows = [...cohort.siteOf.keys()].filter((row) => cohort.siteOf[row] === site);
    const where = `at site "${label}"`;
    if (rows.length < study.privacy.minimumCohort)
      warnings.push({
        file,
        message: `fewer usable cases than the minimum cohort of ${study.privacy.minimumCohort} ${where}: it sits out`,
      });
    const classes = new Set(
      rows.map((row) => (cohort.outcome.type === 'binary' ? cohort.outcome.y[row] : cohort.outcome.event[row])),
    );
    if (rows.length > 0 && classes.size < 2)
      warnings.push({
        file,
        message: `every case has the same outcome ${where}: it cannot be validated on its own`,
      });
    for (const [feature, name] of cohort.featureNames.entries()) {
      const values = rows.map((row) => cohort.features[row * p + feature]!).filter((value) => !Number.isNaN(value));
      if (rows.length > 0 && values.length === 0)
        warnings.push({ file, column: name, message: `the feature was never measured ${where}` });
      else if (values.length > 1 && values.every((value) => value === values[0]))
        warnings.push({ file, column: name, message: `the feature is constant ${where}` });
    }
  }
  return warnings;
}
