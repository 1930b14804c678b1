import type { FuzzKind } from '../kind.js';
import { BUNDLE, RATIFICATION, ROSTER } from './bundles.js';
import { BROADCAST, DOCUMENT } from './documents.js';
import { EVENT_LOG, GUARD_STATE, LEDGER, SITE_LOG } from './records.js';
import { PARTICIPANT_REDUCER, ROUND_REDUCER } from './reducers.js';
import { COHORT_CSV, COHORT_YAML, INVITATION, POLICY_YAML, STUDY_DOCUMENT, STUDY_YAML } from './texts.js';
import { WIRE_BYTES, WIRE_FIELDS } from './wire.js';

/** Every form of input that Concordat reads from a line, a file or a store. */
export const KINDS: readonly FuzzKind[] = [
  WIRE_BYTES,
  WIRE_FIELDS,
  ROUND_REDUCER,
  PARTICIPANT_REDUCER,
  DOCUMENT,
  BROADCAST,
  STUDY_YAML,
  STUDY_DOCUMENT,
  COHORT_YAML,
  COHORT_CSV,
  POLICY_YAML,
  INVITATION,
  ROSTER,
  BUNDLE,
  RATIFICATION,
  EVENT_LOG,
  SITE_LOG,
  GUARD_STATE,
  LEDGER,
];
