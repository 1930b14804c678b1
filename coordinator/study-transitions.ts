/**
 * The life of a study as a table: everything that affects which phase follows which lives in this file.
 * docs/architecture.md shows the diagram printed from it.
 */
export type StudyPhase =
  | 'proposed'
  | 'approved'
  | 'running'
  | 'validated'
  | 'ratified'
  | 'published'
  | 'declined'
  | 'failed'
  | 'withdrawn';

export type StudyEventType =
  | 'approval'
  | 'allApproved'
  | 'decline'
  | 'roundTotal'
  | 'finished'
  | 'failure'
  | 'abort'
  | 'withdrawal'
  | 'ratification'
  | 'quorum'
  | 'refusal'
  | 'publication';

export const STUDY_TRANSITIONS: Record<StudyPhase, Partial<Record<StudyEventType, StudyPhase>>> = {
  proposed: {
    approval: 'proposed',
    allApproved: 'approved',
    decline: 'declined',
    withdrawal: 'withdrawn',
    abort: 'withdrawn',
    failure: 'failed',
  },
  approved: { roundTotal: 'running', withdrawal: 'withdrawn', abort: 'withdrawn', failure: 'failed' },
  running: {
    roundTotal: 'running',
    finished: 'validated',
    withdrawal: 'withdrawn',
    abort: 'withdrawn',
    failure: 'failed',
  },
  validated: {
    ratification: 'validated',
    quorum: 'ratified',
    refusal: 'failed',
    withdrawal: 'withdrawn',
    abort: 'withdrawn',
    failure: 'failed',
  },
  ratified: { ratification: 'ratified', publication: 'published' },
  published: { ratification: 'published' },
  declined: {},
  failed: {},
  withdrawn: {},
};

/** Phases that end a study. */
export const CLOSED: ReadonlySet<StudyPhase> = new Set<StudyPhase>(['published', 'declined', 'failed', 'withdrawn']);
