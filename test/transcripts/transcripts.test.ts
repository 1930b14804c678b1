import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CALM } from '../sim/faults.js';
import { type SimOptions, simulateFederation } from '../sim/federation.js';

/**
 * Scenarios that can be read: every message of a small study in virtual time. `UPDATE=1` writes them again; commit that only
 * where you understand what changed and want it.
 */
const BASE: SimOptions = { seed: 1, sites: 4, rounds: 2, terms: {}, faults: CALM };

const SCENARIOS: { readonly file: string; readonly story: string; readonly options: SimOptions }[] = [
  {
    file: 'steady-rounds',
    story: `Four sites, two rounds, nothing goes wrong. The first round begins with an exchange of pre-keys; the pre-keys of
the second ride on the masked inputs of the first, so that it takes three exchanges: masked input, agreement, unmask.`,
    options: BASE,
  },
  {
    file: 'site-killed-after-masked-input',
    story: `Birch is killed when its masked input has been acknowledged. It is in the sum: three of four sites are enough to
sign the set and to unmask. The second round waits for birch, which is back by then.`,
    options: {
      ...BASE,
      faults: { ...CALM, crashAtWrite: { index: await writeOf('birch', 'maskedInputReceived'), when: 'before' } },
    },
  },
  {
    file: 'site-killed-before-masked-input',
    story: `Birch is killed when it has joined the first round, before its masked input leaves. The study waits: after the time
limit the attempt is given up, and repeated over the same sites with fresh keys once birch is back.`,
    options: {
      ...BASE,
      faults: { ...CALM, crashAtWrite: { index: await writeOf('birch', 'attemptOffer'), when: 'after' } },
    },
  },
  {
    file: 'site-lost-before-masked-input',
    story: `The study says continue. Dogwood joins the first round and is lost for good before its masked input. When its line
has been dead for a moment the others go on: they release shares of dogwood's mask key and of one another's self seeds, never both for
one site. The second round does not wait for dogwood again.`,
    options: {
      ...BASE,
      terms: { onMissingSite: 'continue' },
      faults: { ...CALM, lostForGood: new Map([['dogwood', 5]]) },
    },
  },
];

/** Index among all durable writes of the first one that a site makes in a calm run after a message of the coordinator to it. */
async function writeOf(site: string, afterMessage: string): Promise<number> {
  let heard = false;
  let index = -1;
  await simulateFederation({
    ...BASE,
    trace: (line) => {
      heard ||= line.includes(`coordinator > ${site}: ${afterMessage}`);
    },
    onWrite: (who, write) => {
      if (who === site && heard && index < 0) index = write;
    },
  });
  return index;
}

describe('transcripts', () => {
  for (const { file, story, options } of SCENARIOS)
    it(file, async () => {
      const lines: string[] = [];
      const result = await simulateFederation({ ...options, trace: (line) => lines.push(line) });
      expect(result.violations).toEqual([]);
      expect(result.finished).toBe(true);
      const text = `${story}\n----\n${lines.join('\n')}\n`;
      const at = new URL(`./${file}.txt`, import.meta.url);
      if (process.env['UPDATE'] === '1') writeFileSync(at, text);
      expect(existsSync(at), 'run with UPDATE=1').toBe(true);
      expect(text).toBe(readFileSync(at, 'utf8'));
    });
});
