import type { LoggedEvent } from './study-host-types.js';

/** Hashes of the blobs that this event names. What a durable event names is never collected as an orphan. Pure. */
export function blobsNamed(event: LoggedEvent): readonly string[] {
  if (event.type === 'proposed') return [event.documentBlob];
  if (event.type !== 'round') return [];
  const { record } = event;
  switch (record.type) {
    case 'roundOpened':
      return [record.broadcastHash];
    case 'maskedInput':
      return [record.blobHash];
    case 'total':
      return [record.totalHash];
    default:
      return [];
  }
}
