import { checkCombatBroadcast, checkCombatResult } from '../harmonization/combat/check-broadcast.js';
import { combatSite } from '../harmonization/combat/contribute.site.js';
import { combatDeclaration } from '../harmonization/combat/declaration.js';
import { checkLinearResult, checkNetworkResult } from '../shared/computations/check-model.js';
import { checkCoxBroadcast } from '../shared/computations/cox/check-broadcast.js';
import { coxSite } from '../shared/computations/cox/contribute.site.js';
import { coxDeclaration } from '../shared/computations/cox/declaration.js';
import { checkDescribeBroadcast, checkDescribeResult } from '../shared/computations/describe/check-broadcast.js';
import { describeSite } from '../shared/computations/describe/contribute.site.js';
import { describeDeclaration } from '../shared/computations/describe/declaration.js';
import { checkNetBroadcast } from '../shared/computations/elastic-net/check-broadcast.js';
import { checkFedAvgBroadcast } from '../shared/computations/fedavg/check-broadcast.js';
import { fedAvgSite } from '../shared/computations/fedavg/contribute.site.js';
import { fedAvgDeclaration } from '../shared/computations/fedavg/declaration.js';
import type { LogisticSpec } from '../shared/computations/frame.js';
import { checkHabitatsBroadcast } from '../shared/computations/habitats/check-broadcast.js';
import { habitatsSite } from '../shared/computations/habitats/contribute.site.js';
import { habitatsDeclaration } from '../shared/computations/habitats/declaration.js';
import { checkLandmarksBroadcast } from '../shared/computations/landmarks/check-broadcast.js';
import { landmarksSite } from '../shared/computations/landmarks/contribute.site.js';
import { landmarksDeclaration } from '../shared/computations/landmarks/declaration.js';
import { logisticSite } from '../shared/computations/logistic/contribute.site.js';
import { logisticDeclaration } from '../shared/computations/logistic/declaration.js';
import { checkMomentsBroadcast, checkMomentsResult } from '../shared/computations/moments/check-broadcast.js';
import { momentsSite } from '../shared/computations/moments/contribute.site.js';
import { momentsDeclaration } from '../shared/computations/moments/declaration.js';
import { checkStabilityBroadcast, checkStabilityResult } from '../shared/computations/stability/check-broadcast.js';
import { stabilitySite } from '../shared/computations/stability/contribute.site.js';
import { stabilityDeclaration } from '../shared/computations/stability/declaration.js';
import { checkValidateBroadcast } from '../shared/computations/validate/check-broadcast.js';
import { validateSite } from '../shared/computations/validate/contribute.site.js';
import { validateDeclaration } from '../shared/computations/validate/declaration.js';
import type { SiteRegistry } from './site-run.site.js';

/**
 * Site halves by name: all that a study can ever make this agent compute, each with the checks of what the coordinator
 * may send for it.
 */
export const SITE_COMPUTATIONS: SiteRegistry = {
  combat: {
    declaration: combatDeclaration,
    site: combatSite,
    checkBroadcast: checkCombatBroadcast,
    checkResult: checkCombatResult,
  },
  cox: {
    declaration: coxDeclaration,
    site: coxSite,
    checkBroadcast: checkCoxBroadcast,
    checkResult: checkLinearResult,
  },
  describe: {
    declaration: describeDeclaration,
    site: describeSite,
    checkBroadcast: checkDescribeBroadcast,
    checkResult: checkDescribeResult,
  },
  fedavg: {
    declaration: fedAvgDeclaration,
    site: fedAvgSite,
    checkBroadcast: checkFedAvgBroadcast,
    checkResult: checkNetworkResult,
  },
  habitats: {
    declaration: habitatsDeclaration,
    site: habitatsSite,
    checkBroadcast: checkHabitatsBroadcast,
    checkResult: () => undefined,
  },
  // Published for a later study: nothing is built on its result here.
  landmarks: {
    declaration: landmarksDeclaration,
    site: landmarksSite,
    checkBroadcast: checkLandmarksBroadcast,
    checkResult: () => undefined,
  },
  logistic: {
    declaration: logisticDeclaration,
    site: logisticSite,
    checkBroadcast: (spec: LogisticSpec, broadcast: unknown) => checkNetBroadcast(spec, broadcast),
    checkResult: checkLinearResult,
  },
  moments: {
    declaration: momentsDeclaration,
    site: momentsSite,
    checkBroadcast: checkMomentsBroadcast,
    checkResult: checkMomentsResult,
  },
  stability: {
    declaration: stabilityDeclaration,
    site: stabilitySite,
    checkBroadcast: checkStabilityBroadcast,
    checkResult: checkStabilityResult,
  },
  // The last computation: nothing is built on its result.
  validate: {
    declaration: validateDeclaration,
    site: validateSite,
    checkBroadcast: checkValidateBroadcast,
    checkResult: () => undefined,
  },
};
