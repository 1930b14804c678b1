import { combatRunner } from './combat.js';
import { glmRunner } from './glm.js';
import { glmnetRunner } from './glmnet.js';
import { metricsRunner } from './metrics.js';
import type { KindRunner } from './sheet.js';
import { survivalRunner } from './survival.js';

/** Kinds whose folders only record what references did. */
export const NOTHING_TO_RUN: readonly string[] = ['reference_log'];

/** A kind that Concordat does not cover yet: every golden is listed, by block where it has blocks. */
function listed(prefix: string): KindRunner {
  return {
    quantityOf: (_file, path) => (path.length === 0 ? prefix : `${prefix}.${path[0]!}`),
    run(one, sheet) {
      for (const file of Object.keys(one.document.files))
        if (file.endsWith('.json'))
          for (const key of Object.keys(sheet.json(file))) sheet.unsupportedByClass({ file, path: [key] });
        else sheet.unsupportedByClass({ file });
    },
  };
}

export const kindRunners: ReadonlyMap<string, KindRunner> = new Map([
  ['combat', combatRunner],
  ['combat_apply', combatRunner],
  ['dcombat', combatRunner],
  ['covbat', listed('covbat')],
  ['combat_variants', listed('combat_variants')],
  ['longcombat', listed('longcombat')],
  ['glm', glmRunner],
  ['glmnet', glmnetRunner],
  ['survival', survivalRunner],
  ['metrics', metricsRunner],
  ['gbdt', listed('gbdt')],
  ['ml_levels', listed('ml_levels')],
  ['feature_selection', listed('feature_selection')],
  ['dp', listed('dp')],
]);
