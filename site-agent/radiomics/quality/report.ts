import type { CaseQuality } from './case-quality.js';
import type { FeatureQuality } from './feature-quality.js';

/** A lesion's picture beside what is known of it. */
export interface ReportPicture {
  /** Position in `cases`. */
  readonly case: number;
  /** Relative to the report. */
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly slice: number;
  readonly window: readonly [number, number];
  readonly windowFrom: 'CT' | 'image';
}

/** A feature's quality; where phases and time points are judged one by one, `name` says which, and `feature` is the feature alone. */
export interface JudgedFeature extends FeatureQuality {
  readonly feature: string;
}

/** The whole report as JSON; the page shows the same. */
export interface QualityReport {
  readonly format: 'concordat-quality-1';
  readonly madeAt: string;
  readonly cohort: string;
  readonly study: string | null;
  readonly cases: readonly CaseQuality[];
  readonly pictures: readonly ReportPicture[];
  /** Cases of the table without images, images without a case in the table, and who is left out by the study: by reason. */
  readonly exclusions: readonly {
    readonly reason: string;
    readonly count: number;
    readonly cases: readonly string[];
  }[];
  readonly features: {
    readonly source: string;
    /** What the rows are, in the order to which outliers point. */
    readonly rows: readonly string[];
    readonly list: readonly JudgedFeature[];
  } | null;
}

/** Numbers of a summary, for the command's answer and the page's head. */
export interface QualitySummary {
  readonly cases: number;
  readonly images: number;
  readonly excluded: number;
  readonly noted: number;
  readonly features: number;
  readonly constant: number;
  readonly incomplete: number;
  readonly withOutliers: number;
  readonly duplicates: number;
}

/** A feature counts once, however many phases and time points it was judged in. */
export function qualitySummary({ cases, features }: QualityReport): QualitySummary {
  const list = features?.list ?? [];
  const counted = (test: (feature: FeatureQuality) => boolean) =>
    new Set(list.filter(test).map(({ feature }) => feature)).size;
  return {
    cases: new Set(cases.map((one) => one.case)).size,
    images: cases.length,
    excluded: cases.filter(({ status }) => status === 'excluded').length,
    noted: cases.filter(({ status, notes }) => status === 'ok' && notes.length > 0).length,
    features: counted(() => true),
    constant: counted(({ constant }) => constant),
    incomplete: counted(({ missing }) => missing > 0),
    withOutliers: counted(({ outliers }) => outliers.length > 0),
    duplicates: counted(({ duplicateOf }) => duplicateOf !== null),
  };
}
