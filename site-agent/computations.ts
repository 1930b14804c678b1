import { combatSite } from '../harmonization/combat/contribute.site.js';
import { combatDeclaration } from '../harmonization/combat/declaration.js';
import { coxSite } from '../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../shared/computations/cox/declaration.js';
import { describeSite } from '../shared/computations/describe/contribute.site.js';
import { describeDeclaration } from '../shared/computations/describe/declaration.js';
import { fedAvgSite } from '../shared/computations/fedavg/contribute.site.js';
import { fedAvgDeclaration } from '../shared/computations/fedavg/declaration.js';
import { logisticSite } from '../shared/computations/logistic/contribute.site.js';
import { logisticDeclaration } from '../shared/computations/logistic/declaration.js';
import { momentsSite } from '../shared/computations/moments/contribute.site.js';
import { momentsDeclaration } from '../shared/computations/moments/declaration.js';
import { validateSite } from '../shared/computations/validate/contribute.site.js';
import { validateDeclaration } from '../shared/computations/validate/declaration.js';
import type { SiteRegistry } from './site-run.site.js';

/** Site halves by name, one line each: all that a study can ever make this agent compute. */
export const SITE_COMPUTATIONS: SiteRegistry = {
  combat: { declaration: combatDeclaration, site: combatSite },
  cox: { declaration: coxDeclaration, site: coxSite },
  describe: { declaration: describeDeclaration, site: describeSite },
  fedavg: { declaration: fedAvgDeclaration, site: fedAvgSite },
  logistic: { declaration: logisticDeclaration, site: logisticSite },
  moments: { declaration: momentsDeclaration, site: momentsSite },
  validate: { declaration: validateDeclaration, site: validateSite },
};
