import { createHash } from 'node:crypto';
import type { RoundRecord } from './round-types.js';

/**
 * The head of a hash chain over what was decided in every round: the hash of each masked input, the survivor set and the
 * total. Sites sign it with the bundle, so that nobody can later show another history.
 */
export class TranscriptHead {
  private value = createHash('sha256').update('concordat transcript v1\n').digest('hex');

  get head(): string {
    return this.value;
  }

  record(record: RoundRecord): void {
    const entry = entryOf(record);
    if (entry === null) return;
    this.value = createHash('sha256').update(this.value).update(JSON.stringify(entry)).digest('hex');
  }
}

function entryOf(record: RoundRecord): unknown[] | null {
  switch (record.type) {
    case 'maskedInput':
      return ['maskedInput', record.context, record.site, record.blobHash];
    case 'survivors':
      return ['survivors', record.context, record.survivors, record.dropped];
    case 'total':
      return ['total', record.context, record.totalHash, record.sites];
    default:
      return null;
  }
}
