import { runSimulation } from '../../../cli/simulation.js';
import { decodeDocument, encodeDocument } from '../../../shared/document.js';
import { encodeContribution } from '../../../shared/fixed-point.js';
import { planStudy } from '../../../shared/plan.js';
import { decodeRoundDocument, encodeRoundDocument } from '../../../shared/round-document.js';
import { cohortOf } from '../../../site-agent/cohort.site.js';
import { PLAIN_MAPPING } from '../../../site-agent/cohort-config.js';
import { parseTable } from '../../../site-agent/cohort-table.site.js';
import { SITE_COMPUTATIONS } from '../../../site-agent/computations.js';
import { checkRelease } from '../../../site-agent/egress.js';
import { DEFAULT_POLICY } from '../../../site-agent/policy.js';
import { checkResultOf, contributionOf, leavesOf, siteView } from '../../../site-agent/site-run.site.js';
import { Broken, type FuzzKind, pack, unpack } from '../kind.js';
import { jsonText, mutateBytes, mutateText, mutateValue, pick } from '../mutate.js';
import { FUZZ_SITES, fuzzStudy, fuzzTable } from '../study.js';

const SPECIMENS: readonly unknown[] = [
  {
    instance: 'describe',
    iteration: 1,
    broadcast: {
      centre: Float64Array.from([1, 2.5, Number.NaN]),
      counts: Int32Array.from([1, 2]),
      mask: Uint8Array.from([1, 0, 1]),
      list: [1, 'two', null, true, { deep: { deeper: [Number.POSITIVE_INFINITY] } }],
    },
    upstream: { describe: 'ab'.repeat(32), combat: 'cd'.repeat(32) },
  },
  { instance: 'logistic', iteration: 12, broadcast: null, upstream: {} },
];

const HEAD = 9;
const POLICY = { ...DEFAULT_POLICY, visibility: { metrics: true, descriptions: true, aggregate: true } };

/** Documents as bytes: broken anywhere, or with a header that says other things about the bytes after it. */
export const DOCUMENT: FuzzKind = {
  name: 'document',
  weight: 10,
  prepare() {
    const written = SPECIMENS.map((value) => encodeDocument(value));
    return {
      make(random) {
        const bytes = pick(random, written);
        const way = random.integer(4);
        if (way === 0) return mutateBytes(random, bytes);
        const view = Buffer.from(bytes);
        const length = view.readUInt32LE(5);
        const header = view.toString('utf8', HEAD, HEAD + length);
        let changed: string;
        if (way === 1) changed = mutateText(random, header);
        else changed = jsonText(mutateValue(random, JSON.parse(header) as unknown));
        if (random.integer(300) === 0) changed = '['.repeat(20_000) + ']'.repeat(20_000);
        const fresh = Buffer.from(changed, 'utf8');
        const size = Buffer.alloc(4);
        size.writeUInt32LE(random.integer(12) === 0 ? random.uint32() : fresh.length);
        return new Uint8Array(Buffer.concat([view.subarray(0, 5), size, fresh, view.subarray(HEAD + length)]));
      },
      run(input) {
        const value = decodeDocument(input);
        const again = encodeDocument(value);
        if (Buffer.compare(encodeDocument(decodeDocument(again)), again) !== 0)
          throw new Broken('a document changes when it is written again');
        decodeRoundDocument(input);
      },
    };
  },
};

/** Broadcasts of a real study with wrong content, into the site's own half: declaration, contribution, encoding. */
export const BROADCAST: FuzzKind = {
  name: 'broadcast',
  weight: 4,
  prepare() {
    const studies = [
      fuzzStudy({ validation: { folds: 2 }, model: { type: 'logistic', lambda: 'cv', nlambda: 3 } }),
      fuzzStudy({ model: { type: 'mlp', hidden: [2], maxRounds: 2 } }),
      fuzzStudy({
        cohort: { endpoint: { type: 'survival', time: 'age', event: 'mvi' }, features: ['f0', 'f1'] },
        harmonization: { method: 'none' },
        model: { type: 'cox', lambda: 0 },
        validation: { folds: 0 },
      }),
    ];
    const worlds = studies.map((study) => {
      const cohorts = FUZZ_SITES.map(
        (site) =>
          cohortOf(study, { ...PLAIN_MAPPING, id: 'patient_id' }, parseTable(fuzzTable(site, 24), 'cases.csv'), site)
            .cohort,
      );
      const rounds: {
        instance: string;
        iteration: number;
        broadcast: unknown;
        results: ReadonlyMap<string, unknown>;
      }[] = [];
      runSimulation(study, cohorts, {
        beforeRelease: ({ instance, iteration, broadcast }, results) =>
          void rounds.push({ instance, iteration, broadcast, results }),
      });
      return { study, plan: planStudy(study), cohort: cohorts[0]!, rounds };
    });
    return {
      make(random) {
        const world = random.integer(worlds.length);
        const { rounds } = worlds[world]!;
        const round = random.integer(rounds.length);
        const { broadcast, results } = rounds[round]!;
        const names = [...results.keys()];
        const result = random.integer(4) === 0 && names.length > 0 ? pick(random, names) : null;
        return pack({
          world,
          round,
          broadcast: result === null ? mutateValue(random, broadcast) : broadcast,
          result,
          value: result === null ? null : mutateValue(random, results.get(result)),
        });
      },
      run(input) {
        const given = unpack(input) as {
          world: number;
          round: number;
          broadcast: unknown;
          result: string | null;
          value: unknown;
        };
        const { study, plan, cohort, rounds } = worlds[given.world]!;
        const { instance, iteration, results } = rounds[given.round]!;
        const bytes = encodeRoundDocument({ instance, iteration, broadcast: given.broadcast, upstream: {} });
        const document = decodeRoundDocument(bytes);
        const known = new Map(results);
        if (given.result !== null) {
          const value = decodeDocument(encodeDocument(given.value));
          // As site-agent/shell/site-study.ts takes it, before any row is looked at.
          checkResultOf(plan, SITE_COMPUTATIONS, given.result, value);
          known.set(given.result, value);
        }
        const leaves = leavesOf(plan, SITE_COMPUTATIONS, document);
        const rules = {
          site: 'alder',
          policy: POLICY,
          showAggregate: FUZZ_SITES,
          patients: cohort.n,
          minimumCohort: 1,
        };
        const view = siteView(study, plan, cohort, known, new Map());
        const contribution = contributionOf(plan, SITE_COMPUTATIONS, document, view);
        checkRelease(leaves, contribution, rules);
        encodeContribution(leaves, contribution, FUZZ_SITES.length);
      },
    };
  },
};
