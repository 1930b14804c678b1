import type { Metric, Metrics, ValidateResult, ValidationFold } from '../computations/validate/result.js';
import type { Study } from '../study.js';
import { modelName } from '../study.js';

export interface CardInput {
  readonly study: Study;
  readonly studyHash: string;
  readonly version: string;
  /** n and events as published: null where suppressed. */
  readonly sites: readonly {
    readonly name: string;
    readonly role: string;
    readonly n: number | null;
    readonly events: number | null;
  }[];
  readonly validation: Pick<ValidateResult, 'folds'>;
  readonly threshold: number | null;
  /** True where the data are simulated: said first, so that nobody takes the model for a clinical one. */
  readonly simulated: boolean;
}

const LABEL: Readonly<Record<string, string>> = {
  n: 'n',
  events: 'Events',
  auc: 'AUC',
  cIndex: 'C-index',
  calibrationIntercept: 'Calibration intercept',
  calibrationSlope: 'Calibration slope',
  brier: 'Brier',
  observedExpected: 'Observed / expected risk',
  sensitivity: 'Sensitivity',
  specificity: 'Specificity',
};

/** The model card (Mitchell et al. 2019, shortened) in Markdown: what the model is for, made of, worth, and not good for. */
export function modelCard(input: CardInput): string {
  const { study } = input;
  const name = modelName(study.model);
  const folds = input.validation.folds.filter(
    (fold) => fold.model === name && fold.arm === study.harmonization.method && fold.name !== 'leave-one-site-out',
  );
  const external = folds.some((fold) => fold.name === 'external');
  const endpoint = study.cohort.endpoint;
  const outcome =
    endpoint.type === 'binary' ? endpoint.column : `${endpoint.event} over ${endpoint.time} (${endpoint.unit})`;
  const sections = [
    `# ${study.title ?? study.name}`,
    ...(input.simulated
      ? ['__Simulated data.__ This model was trained on simulated patients and must not be used on real ones.']
      : []),
    `Version ${input.version}, study \`${study.name}\`, study hash \`${input.studyHash}\`.`,
    '## Intended use',
    `Research. Predicts ${outcome} from ${study.cohort.features.length} imaging features${covariateText(study)}. It is not a medical device and has not been assessed as one; no treatment decision may rest on it alone.`,
    '## Data',
    dataText(study),
    siteTable(input),
    '## Model',
    modelText(input),
    '## Harmonization',
    harmonizationText(study),
    '## Validation',
    external
      ? 'The external sites did not train the model; their numbers judge the published model itself.'
      : '__Not externally validated.__ No hospital outside the training sites has tested the published model.',
    'Leave-one-site-out and cross-validation judge the way of making the model, not the published model: every fold makes its own.',
    metricsTable(folds),
    '## Limits',
    limits(study),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function covariateText(study: Study): string {
  const names = study.cohort.covariates.map(({ column }) => column);
  if (names.length === 0) return '';
  const used = study.model.covariates ? 'and' : 'with harmonization by';
  return ` ${used} ${names.join(', ')}`;
}

function dataText(study: Study): string {
  const shown = study.validation.perSite ? ', and each site’s own validation metrics' : '';
  return study.privacy.secureAggregation
    ? `Patients’ rows never left their hospitals: only declared sums over sites did, under secure aggregation${shown}.`
    : 'Patients’ rows never left their hospitals. Secure aggregation was switched off: the coordinator saw the sums of each site.';
}

function siteTable({ sites }: CardInput): string {
  const count = (value: number | null) => (value === null ? 'suppressed' : String(value));
  const rows = sites.map(({ name, role, n, events }) => [name, role, count(n), count(events)]);
  return table(['Site', 'Role', 'n', 'Events'], rows);
}

function modelText({ study, threshold }: CardInput): string {
  const { model } = study;
  const kind = {
    logistic: 'Elastic-net logistic regression',
    cox: 'Cox proportional hazards model',
    mlp: 'Multilayer perceptron trained by federated averaging',
  }[model.type];
  const size = model.type === 'mlp' ? `, hidden layers of ${model.hidden.join(' and ')} units` : '';
  const positive = threshold === null ? '' : ` A probability of ${format(threshold)} or more is called positive.`;
  return `${kind}${size}. Missing values take the training mean, after harmonization.${positive}`;
}

function harmonizationText(study: Study): string {
  const { method, covariates, heldOut } = study.harmonization;
  if (method === 'none') return 'None: features enter as they were measured.';
  const how = method === 'combat' ? 'ComBat' : 'z-scores within each site';
  const preserved = covariates.length > 0 ? `, preserving the effects of ${covariates.join(', ')}` : '';
  const calibration = {
    calibration: 'A new hospital is calibrated from unlabelled cases of its own (gamma and delta inputs)',
    none: 'A new hospital is scored without harmonization',
    transductive: 'A new hospital is harmonized from the very cases that are scored (transductive)',
  }[heldOut];
  return `${how}${preserved}. ${calibration}; without a calibration file its values are used as they come. Centring sites also removes real differences in case mix between them.`;
}

function metricsTable(folds: readonly ValidationFold[]): string {
  const names = Object.keys(LABEL).filter((name) => folds.some((fold) => fold.pooled[name] !== undefined));
  const row = (fold: ValidationFold, site: string, metrics: Metrics) => [
    fold.name,
    fold.evaluates,
    site,
    ...names.map((name) => cell(metrics[name])),
  ];
  const rows = folds.flatMap((fold) => {
    const sites = Object.entries(fold.sites).map(([site, metrics]) => row(fold, site, metrics));
    return sites.length === 1 ? sites : [...sites, row(fold, 'all', fold.pooled)];
  });
  if (rows.length === 0) return 'No validation was part of the study.';
  const heading = ['Fold', 'Judges', 'Site', ...names.map((name) => LABEL[name]!)];
  return `${table(heading, rows)}\n\n95 % intervals in brackets; "all" counts pairs of patients within sites only; – means not estimable.`;
}

function limits(study: Study): string {
  const items = [
    'Valid for patients, scanners and feature extraction like those of the sites above; a new site should calibrate first.',
    'Sites are those the consortium enrolled: secure aggregation does not show that a site’s data are honest or its cases distinct from another’s.',
    ...(study.cohort.endpoint.type === 'survival' && study.cohort.endpoint.horizon === undefined
      ? ['The score ranks patients; absolute risk is not defined without a declared baseline.']
      : []),
    `Counts below ${study.privacy.minimumCount} are suppressed.`,
  ];
  return items.map((item) => `- ${item}`).join('\n');
}

function cell(metric: Metric | undefined): string {
  if (metric === null || metric === undefined) return '–';
  if ('suppressed' in metric) return 'suppressed';
  const { value, low, high } = metric;
  return low === undefined || high === undefined
    ? format(value)
    : `${format(value)} (${format(low)} to ${format(high)})`;
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}

function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)].join('\n');
}
