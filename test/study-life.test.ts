import { describe, expect, it } from 'vitest';
import { proposedStudy, type StudyEvent, type StudyState, studyStep } from '../coordinator/study.js';
import { CLOSED, STUDY_TRANSITIONS } from '../coordinator/study-transitions.js';
import { studyHash, studySchema } from '../shared/study.js';

const study = studySchema.parse({
  concordat: 1,
  name: 'life',
  cohort: { endpoint: { type: 'binary', column: 'mvi' }, features: ['f1'] },
  sites: { training: ['a', 'b', 'c'], external: ['d'] },
  model: { type: 'logistic' },
  quorum: 2,
});

function fold(events: StudyEvent[]): { state: StudyState; effects: string[] } {
  let state = proposedStudy(study, studyHash(study), 1);
  const effects: string[] = [];
  for (const event of events) {
    const [next, made] = studyStep(state, event);
    state = next;
    effects.push(...made.map((effect) => effect.type));
  }
  return { state, effects };
}
const approve = (site: string): StudyEvent => ({ type: 'approval', site, boxPublicKey: '00' });
const ratify = (site: string, verdict: 'ratified' | 'refused'): StudyEvent => ({
  type: 'ratification',
  site,
  verdict,
  reason: 'x',
});
const approved = ['a', 'b', 'c', 'd'].map(approve);
const validated: StudyEvent[] = [
  ...approved,
  { type: 'roundTotal', round: 1 },
  { type: 'finished', bundleDigest: 'ff', unmet: [] },
];

describe('the life of a study', () => {
  it('runs only once every site, external ones too, approved', () => {
    expect(fold(approved.slice(0, 3)).effects).toEqual([]);
    expect(fold(approved).effects).toEqual(['run']);
  });

  it('ends when one site declines', () => {
    const { state, effects } = fold([approve('a'), { type: 'decline', site: 'b', reason: 'no' }]);
    expect(state.phase).toBe('declined');
    expect(state.reason).toContain('b declined');
    expect(effects).toEqual(['tellClosed']);
  });

  it('publishes at quorum and not below', () => {
    expect(fold([...validated, ratify('a', 'ratified')]).state.phase).toBe('validated');
    const { state, effects } = fold([...validated, ratify('a', 'ratified'), ratify('d', 'ratified')]);
    expect(state.phase).toBe('ratified');
    expect(effects.at(-1)).toBe('publish');
  });

  it('counts a site once, however often it ratifies', () => {
    expect(fold([...validated, ratify('a', 'ratified'), ratify('a', 'ratified')]).state.phase).toBe('validated');
  });

  it('leaves a summary when the quorum cannot be reached any more', () => {
    const { state, effects } = fold([
      ...validated,
      ratify('a', 'refused'),
      ratify('b', 'refused'),
      ratify('c', 'refused'),
    ]);
    expect(state.phase).toBe('failed');
    expect(effects).toContain('registerSummary');
  });

  it('leaves a summary when acceptance criteria are not met or the study is withdrawn after validation', () => {
    const unmet = fold([
      ...validated.slice(0, -1),
      { type: 'finished', bundleDigest: 'ff', unmet: ['auc at external below 0.9'] },
    ]);
    expect(unmet.state.phase).toBe('failed');
    expect(unmet.effects).toContain('registerSummary');
    const withdrawn = fold([...validated, { type: 'abort', reason: 'the sponsor left' }]);
    expect(withdrawn.state.phase).toBe('withdrawn');
    expect(withdrawn.effects).toContain('registerSummary');
  });

  it('refuses what the table does not allow, naming both', () => {
    expect(() => fold([{ type: 'publication' }])).toThrowError(/proposed.*publication/);
    expect(() => fold([approve('a'), { type: 'decline', site: 'b', reason: 'no' }, approve('c')])).toThrowError(
      /declined.*approval/,
    );
  });

  it('has no way out of a closed phase but a late ratification of what is published', () => {
    for (const phase of CLOSED)
      expect(Object.keys(STUDY_TRANSITIONS[phase])).toEqual(phase === 'published' ? ['ratification'] : []);
  });
});
