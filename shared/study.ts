import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.js';
import { imagingSchema } from './imaging.js';
import { perturbationShape } from './perturbation.js';

/**
 * The study document: everything that all sites must share, schema-checked, hashed, and approved by its hash.
 * The descriptions below are the documentation: docs/study.md is generated from them.
 */
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use lower-case letters, digits and hyphens');
/** Names become keys of results: those that every object already has would be found where nobody put them. */
const notReserved = (text: string) => !(text in Object.prototype);
const siteName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'use letters, digits, hyphen, dot or underscore')
  .refine(notReserved, 'this name is reserved');
const column = z.string().min(1).max(200).refine(notReserved, 'this name is reserved');

const binaryEndpoint = z.strictObject({
  type: z.literal('binary'),
  column: column.describe('Outcome column, coded 0 and 1 (cohort.yaml can map local codes).'),
});
const survivalEndpoint = z.strictObject({
  type: z.literal('survival'),
  time: column.describe('Follow-up time column.'),
  event: column.describe('Event column, 1 = event, 0 = censored.'),
  unit: z.enum(['days', 'weeks', 'months', 'years']).default('days').describe('Unit of the time column.'),
  horizon: z.number().positive().optional().describe('Time at which absolute risk is wanted, in `unit`.'),
});
const covariate = z.strictObject({
  column: column.describe('Column name in study terms.'),
  levels: z
    .array(z.string().max(200))
    .min(2)
    .optional()
    .describe('Levels of a categorical covariate; the first is the reference.'),
  unit: z.string().max(60).optional().describe('Unit of a numeric covariate.'),
});

const logisticModel = z.strictObject({
  type: z.literal('logistic'),
  name: name.optional().describe('Name in results; by default the type.'),
  alpha: z.number().min(0).max(1).default(1).describe('Elastic-net mixing: 1 lasso, 0 ridge (glmnet).'),
  lambda: z
    .union([z.number().min(0), z.literal('cv')])
    .default('cv')
    .describe('Penalty; `cv` = cross-validation with folds inside sites; 0 = none.'),
  rule: z
    .enum(['min', '1se'])
    .default('1se')
    .describe('Which lambda cross-validation takes (glmnet lambda.min, lambda.1se).'),
  nlambda: z.int().min(2).max(200).default(30).describe('Length of the lambda path.'),
  lambdaMinRatio: z.number().gt(0).lt(1).default(0.02).describe('Smallest over largest lambda of the path.'),
  standardize: z.boolean().default(true).describe('Penalise coefficients of predictors scaled to unit variance (1/n).'),
  covariates: z.boolean().default(true).describe('Clinical covariates enter the model beside the features.'),
});
const coxModel = z.strictObject({
  type: z.literal('cox'),
  name: name.optional().describe('Name in results; by default the type.'),
  ties: z.enum(['efron', 'breslow']).default('efron').describe('Handling of tied event times.'),
  strata: z
    .string()
    .default('site')
    .describe(
      '`site` (no event time leaves), a column name, or `none`: unstratified exact risk sets are disclosive and run in simulate only.',
    ),
  alpha: z.number().min(0).max(1).default(1).describe('Elastic-net mixing: 1 lasso, 0 ridge (glmnet).'),
  lambda: z
    .union([z.number().min(0), z.literal('cv')])
    .default(0)
    .describe('Penalty on the mean log partial likelihood (glmnet); `cv`; 0 = none.'),
  rule: z.enum(['min', '1se']).default('1se').describe('Which lambda cross-validation takes.'),
  nlambda: z.int().min(2).max(200).default(30).describe('Length of the lambda path.'),
  lambdaMinRatio: z.number().gt(0).lt(1).default(0.02).describe('Smallest over largest lambda of the path.'),
  standardize: z.boolean().default(true).describe('Penalise coefficients of predictors scaled to unit variance (1/n).'),
  penaltyScale: z
    .enum(['mean', 'sum'])
    .default('mean')
    .describe('`mean`: -loglik/n + lambda*P (glmnet). `sum`: -loglik + lambda*P (ridge(theta) of survival::coxph).'),
  covariates: z.boolean().default(true).describe('Clinical covariates enter the model beside the features.'),
});
const mlpModel = z.strictObject({
  type: z.literal('mlp'),
  name: name.optional().describe('Name in results; by default the type.'),
  hidden: z.array(z.int().min(1).max(512)).min(1).max(4).default([8]).describe('Units of each hidden layer.'),
  activation: z.enum(['tanh', 'relu']).default('tanh').describe('Activation of the hidden layers.'),
  learningRate: z.number().positive().default(0.05).describe('Step of SGD.'),
  momentum: z.number().min(0).lt(1).default(0.9).describe('Momentum of SGD, started afresh in every round.'),
  l2: z
    .number()
    .min(0)
    .default(0.001)
    .describe('Weight decay in the loss: l2/2 * sum of squared weights, biases free.'),
  batchSize: z.int().min(1).default(16).describe('Patients of a mini-batch.'),
  localEpochs: z.int().min(1).max(100).default(1).describe('Epochs of SGD at each site in a round (FedAvg E).'),
  maxRounds: z.int().min(1).max(2000).default(40).describe('Most rounds of averaging.'),
  patience: z.int().min(1).default(8).describe('Rounds without a better held-back loss before stopping.'),
  covariates: z.boolean().default(true).describe('Clinical covariates enter the model beside the features.'),
});
export const modelSchema = z.discriminatedUnion('type', [logisticModel, coxModel, mlpModel]);

export const studySchema = z.strictObject({
  concordat: z.literal(1).describe('Version of the study format.'),
  name: name.describe('Short name of the study.'),
  title: z.string().max(300).optional().describe('One line in plain words, shown before a site approves.'),
  cohort: z.strictObject({
    endpoint: z.discriminatedUnion('type', [binaryEndpoint, survivalEndpoint]).describe('What is predicted.'),
    features: z
      .array(column)
      .min(1)
      .describe('Feature columns; `*` matches any characters. Patterns are replaced by names before approval.'),
    covariates: z.array(covariate).default([]).describe('Clinical covariates.'),
    split: z
      .strictObject({
        column: column.describe('Column that says which part a case belongs to.'),
        train: z.string().max(200).describe('Its value for training cases.'),
        test: z.string().max(200).describe('Its value for test cases.'),
      })
      .optional()
      .describe('For tables that bring a train/test split.'),
    fold: column
      .optional()
      .describe('Column with fixed inner folds (integers); otherwise folds are drawn from the seed.'),
    batch: column.optional().describe('ComBat batch column (scanner); by default the site.'),
  }),
  sites: z.strictObject({
    training: z.array(siteName).min(1).describe('Sites whose patients train the model.'),
    external: z.array(siteName).default([]).describe('Sites that only validate the frozen model.'),
  }),
  imaging: imagingSchema
    .optional()
    .describe('What every site extracts from its images; without it features come from the table.'),
  harmonization: z
    .strictObject({
      method: z
        .enum(['none', 'zscore', 'combat'])
        .default('none')
        .describe('Removal of scanner effects: per-site z-scores, or ComBat without site blocks.'),
      mode: z
        .enum(['reference', 'converged'])
        .default('converged')
        .describe('Stopping of the empirical-Bayes iteration: the published 1e-4 rule, or to convergence.'),
      covariates: z.array(column).default([]).describe('Covariates whose effect ComBat preserves.'),
      heldOut: z
        .enum(['calibration', 'none', 'transductive'])
        .default('calibration')
        .describe('How a held-out or external site is harmonized.'),
      calibrationCases: z
        .int()
        .min(2)
        .default(20)
        .describe('Cases of a held-out site used unlabelled to calibrate it, not scored.'),
    })
    .prefault({}),
  selection: z
    .strictObject({
      stability: z
        .strictObject({
          kind: z
            .enum(['ICC(1,1)', 'ICC(2,1)', 'ICC(3,1)'])
            .default('ICC(3,1)')
            .describe('Intraclass correlation (Shrout and Fleiss): one-way, agreement or consistency.'),
          judge: z
            .enum(['value', 'low'])
            .default('value')
            .describe('What must reach the minimum: the coefficient, or the lower end of its 95 % interval.'),
          minimum: z.number().min(0).max(1).default(0.75).describe('Features below it do not enter the models.'),
          repeats: z.int().min(2).max(100).default(2).describe('Measurements of every patient who has repeats.'),
          source: z
            .discriminatedUnion('type', [
              z
                .strictObject({ type: z.literal('table') })
                .describe('The table that cohort.yaml names under `repeats`.'),
              z
                .strictObject({ type: z.literal('readers') })
                .describe('Masks of further readers, named in the column `reader` of the table of images.'),
              z
                .strictObject({ type: z.literal('perturbations'), ...perturbationShape })
                .describe('As many perturbations of each lesion’s mask and image as `repeats` says.'),
            ])
            .optional()
            .describe('Where repeated measurements come from; by default from the table.'),
        })
        .optional()
        .describe(
          'Keep features on which repeated measurements agree, judged anew in every fold, at training sites only.',
        ),
    })
    .optional()
    .describe('Which features enter the models.'),
  model: modelSchema.describe('The model that is published.'),
  comparators: z.array(modelSchema).default([]).describe('Further models trained and validated on the same folds.'),
  validation: z
    .strictObject({
      folds: z
        .int()
        .min(0)
        .max(20)
        .default(5)
        .describe('Inner folds within every site, for lambda and thresholds; 0 = none.'),
      leaveOneSiteOut: z
        .boolean()
        .default(false)
        .describe('Every training site is left out once, with everything re-fitted; needs privacy.showAggregate.'),
      leaveOut: z
        .array(z.array(siteName).min(1))
        .default([])
        .describe('Groups of training sites to leave out together.'),
      perSite: z.boolean().default(true).describe('Metrics of each site are visible to the coordinator.'),
      threshold: z
        .union([z.literal('youden'), z.number().gt(0).lt(1)])
        .default('youden')
        .describe('Threshold of sensitivity and specificity, fixed from out-of-fold training predictions.'),
      arms: z
        .array(z.enum(['none', 'zscore', 'combat']))
        .default([])
        .describe('Harmonizations compared on the same folds.'),
    })
    .prefault({}),
  privacy: z
    .strictObject({
      secureAggregation: z.boolean().default(true).describe('Contributions are masked; only totals can be read.'),
      coordinator: z
        .enum(['malicious', 'curious'])
        .default('malicious')
        .describe('`curious` saves one exchange and trusts the coordinator to follow the protocol.'),
      minimumCount: z
        .int()
        .min(1)
        .default(5)
        .describe(
          'Counts below it are suppressed; of the patients of a column those below 4 in any case, unless it is 1.',
        ),
      minimumCohort: z.int().min(1).default(10).describe('A site with fewer cases sits out.'),
      minSites: z.int().min(2).default(3).describe('Totals over fewer sites count as showing a site.'),
      showAggregate: z
        .array(siteName)
        .default([])
        .describe('Sites that accept that totals may isolate their own share.'),
    })
    .prefault({}),
  acceptance: z
    .array(
      z.strictObject({
        metric: z.string().max(100).describe('Metric as result.json names it, for example `auc`.'),
        where: z.enum(['external', 'leaveOneSiteOut']).describe('Which validation it is read from.'),
        minimum: z.number().describe('Smallest acceptable value.'),
      }),
    )
    .default([])
    .describe('Criteria that the validated model must meet before ratification.'),
  until: z.iso
    .date('must be a day, YYYY-MM-DD')
    .optional()
    .describe(
      'Last day, UTC, on which sites contribute. A study that is not validated by then ends; without it there is no end.',
    ),
  onMissingSite: z
    .enum(['wait', 'continue'])
    .default('wait')
    .describe('A site that goes missing: wait for it, or go on without it where the guard permits.'),
  transcript: z
    .strictObject({
      retain: z
        .boolean()
        .default(false)
        .describe(
          'The coordinator keeps masked inputs and revealed shares beside the bundle, so that anybody who has them can recompute every total and the model.',
        ),
    })
    .optional(),
  quorum: z.int().min(1).optional().describe('Ratifications needed; by default all training sites.'),
  seed: z.int().min(0).default(1).describe('Seed of folds, calibration subsets and training.'),
});

export type Study = z.output<typeof studySchema>;
/** How a study judges which features repeated measurements agree on. */
export type Stability = NonNullable<NonNullable<Study['selection']>['stability']>;
export type StudyModel = z.output<typeof modelSchema>;
export type LogisticModel = z.output<typeof logisticModel>;
export type CoxModel = z.output<typeof coxModel>;
export type MlpModel = z.output<typeof mlpModel>;

export function modelName(model: StudyModel): string {
  return model.name ?? model.type;
}

/** All sites of the study, sorted: the roster U of every round. */
export function studySites(study: Study): string[] {
  return [...study.sites.training, ...study.sites.external].sort();
}

/** First millisecond after the study's last day, or null where it names none. */
export function endsAtMs(study: Pick<Study, 'until'>): number | null {
  return study.until === undefined ? null : Date.parse(`${study.until}T00:00:00Z`) + 86_400_000;
}

/** SHA-256 of the checked study with every default written out, keys sorted: what a site approves. */
export function studyHash(study: Study): string {
  return createHash('sha256').update('concordat study v1\n').update(canonicalJson(study)).digest('hex');
}
