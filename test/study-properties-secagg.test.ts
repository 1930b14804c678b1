import { describe, expect, it } from 'vitest';
import { COORDINATOR_COMPUTATIONS } from '../coordinator/computations.js';
import { resultBytes, studyResult } from '../coordinator/result.js';
import { advanceRun, type RoundRequest, startRun } from '../coordinator/study-run.js';
import type { Cohort } from '../shared/cohort.site.js';
import { documentHash, encodeDocument } from '../shared/document.js';
import {
  addInto,
  contributionBytes,
  decodeTotal,
  encodeContribution,
  packWords,
  zeroWords,
} from '../shared/fixed-point.js';
import { planStudy } from '../shared/plan.js';
import { declarationHash } from '../shared/secagg/context.js';
import { studySites } from '../shared/study.js';
import { cohortsFromTable } from '../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../site-agent/cohort-config.js';
import { parseTable } from '../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../site-agent/computations.js';
import { contributionOf, siteView } from '../site-agent/site-run.site.js';
import { type Attempt, inputOf, openAttemptOf, unmaskedSum } from './secagg/kit.js';
import { makeTerms, type SimRound } from './sim/world.js';
import { cohortRows, csvOf, FEATURES, simulated, studyOf } from './study-properties-table.js';

/**
 * Law 2 over whole studies, same holders: in every round the total of masked inputs (pre-keys, pairwise and self masks,
 * shares, unmasking: the protocol's own functions, with fixed randomness) is that of plain addition, word for word; and the
 * result's bytes are those of `simulate`.
 */
const rows = cohortRows(11, { alder: 30, birch: 34, cedar: 28, dogwood: 32, elm: 30 });
const STUDIES = {
  'ComBat, lasso, perceptron, leave-one-site-out': studyOf({
    model: '{type: logistic, alpha: 0.9, lambda: cv, rule: min, nlambda: 5}',
    comparators: '[{type: mlp, hidden: [2], maxRounds: 4, patience: 2}]',
    validation: '{folds: 2, leaveOneSiteOut: true}',
    harmonization: '{method: combat, covariates: [sex, age], calibrationCases: 10}',
  }),
  'stratified Cox with a horizon': studyOf({
    cohort: `{endpoint: {type: survival, time: days, event: died, horizon: 730}, features: [${FEATURES.join(', ')}]}`,
    model: '{type: cox, lambda: 0}',
    harmonization: '{method: none}',
    validation: '{folds: 0, leaveOneSiteOut: true}',
  }),
};

/** Opens the attempt of one round as coordinator and sites do, every site honest. */
function attemptOf(request: RoundRequest, words: ReadonlyMap<string, readonly BigUint64Array[]>): Attempt {
  const sites = [...words.keys()].sort();
  const terms = makeTerms(sites);
  const round: SimRound = {
    round: request.round,
    computation: request.instance,
    broadcastHash: documentHash(encodeDocument(request.broadcast)),
    declarationHash: declarationHash(request.leaves),
    specs: request.leaves,
    bytes: contributionBytes(request.leaves),
    words,
  };
  return openAttemptOf(terms, round, request.round);
}

describe('same holders', () => {
  for (const [label, study] of Object.entries(STUDIES))
    it(`${label}: secure aggregation = plain sum = simulation, bit for bit, in every round`, () => {
      const table = parseTable(csvOf(rows), 'table.csv');
      const loads = cohortsFromTable(study, { ...PLAIN_MAPPING, id: 'id' }, table, 'hospital', { oneHolder: false });
      const cohorts: Cohort[] = loads.map(({ cohort }) => cohort);
      const sites = studySites(study);
      const plan = planStudy(study);
      const memos = cohorts.map(() => new Map<string, unknown>());
      let run = startRun(plan, COORDINATOR_COMPUTATIONS);
      let rounds = 0;
      let masked = 0;
      for (let request = run.request; request !== null; request = run.request) {
        const { leaves } = request;
        const words = new Map(
          cohorts.map((cohort, index) => {
            const view = siteView(study, plan, cohort, run.results, memos[index]!);
            const contribution = contributionOf(plan, SITE_COMPUTATIONS, request!, view);
            return [cohort.holder, encodeContribution(leaves, contribution, sites.length)];
          }),
        );
        const attempt = attemptOf(request, words);
        const plain = zeroWords(leaves);
        for (const site of sites)
          for (const [at, leaf] of leaves.entries()) addInto(plain[at]!, words.get(site)![at]!, leaf.ring);
        // Any t of the sites can unmask: the last ones here, so that shares are really combined.
        const secure = unmaskedSum(attempt, { survivors: sites, dropped: [] }, sites.slice(-4));
        expect(secure, `${request.instance} ${request.iteration}`).toEqual(plain);
        if (request.iteration === 1) {
          // What travels is masked: no site's input is its words, nor is their masked sum the sum.
          const sent = inputOf(attempt, sites[0]!);
          expect(Buffer.from(sent).equals(Buffer.from(packWords(words.get(sites[0]!)!)))).toBe(false);
          masked++;
        }
        rounds++;
        run = advanceRun(run, COORDINATOR_COMPUTATIONS, { sites, values: decodeTotal(leaves, secure) });
      }
      expect(masked).toBe(plan.computations.length);
      const bytes = Buffer.from(resultBytes(studyResult(study, run))).toString();
      const simulatedBytes = Buffer.from(simulated(study, rows).files.get('result.json')!).toString();
      expect(bytes).toBe(simulatedBytes);
      console.info(`${label}: ${rounds} rounds of ${sites.length} sites equal to the last bit`);
    });
});
