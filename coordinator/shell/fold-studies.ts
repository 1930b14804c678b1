import type { BlobStore, EventStore } from '../../shared/stores.js';
import { readStudyDocument } from '../../shared/study-signatures.js';
import { decodeLoggedEvent } from '../logged-events.js';
import { proposedStudy, type StudyState, studyStep } from '../study.js';

/** How every study in the log stands, without running anything: for `study status`. */
export function foldStudies(events: EventStore, blobs: Pick<BlobStore, 'getBlob'>): StudyState[] {
  const states = new Map<string, StudyState>();
  for (const { study, payload } of events.replay()) {
    // Heads of egress ledgers belong to no study.
    if (study === '') continue;
    const event = decodeLoggedEvent(payload);
    const state = states.get(study);
    if (event.type === 'proposed')
      states.set(
        study,
        proposedStudy(readStudyDocument(blobs.getBlob(event.documentBlob), study), study, event.rosterVersion),
      );
    else if (state !== undefined && event.type === 'study') states.set(study, studyStep(state, event.event)[0]);
    else if (state !== undefined && event.type === 'round' && event.record.type === 'total')
      states.set(study, studyStep(state, { type: 'roundTotal', round: state.rounds + 1 })[0]);
  }
  return [...states.values()];
}
