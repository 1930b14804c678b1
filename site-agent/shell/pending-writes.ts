import type { Secret } from '../../shared/secret.js';
import type { ParticipantRecord } from '../participant-types.js';
import type { ContributeTask, ParticipantPorts } from './participant-driver.js';

/** A masked input that was made and is to be durable, with its line in the egress ledger, before its first byte leaves. */
export interface MadeInput {
  readonly task: ContributeTask;
  readonly blobHash: string;
  readonly bytes: Uint8Array;
}

/**
 * What a site's driver is to make durable next, and what it may destroy after that. A kill loses all of it together, as if the
 * messages that it came from had not arrived yet; so nothing may be sent that rests on it before it is written.
 */
export class PendingWrites {
  private readonly secrets = new Map<string, Secret>();
  private readonly records: ParticipantRecord[] = [];
  private input: MadeInput | null = null;
  private urgent = false;
  /** Names of the secrets that the last sweep left standing; null where nothing is to be destroyed. */
  private kept: Set<string> | null = null;
  private readonly discarded = new Set<string>();

  get isEmpty(): boolean {
    return this.secrets.size === 0 && this.records.length === 0 && this.input === null;
  }

  /** Whether anything is in it that the next step of this site, of its guard or of others may rest on. */
  get isUrgent(): boolean {
    return this.urgent;
  }

  get destroysNothing(): boolean {
    return this.kept === null && this.discarded.size === 0;
  }

  get hasInput(): boolean {
    return this.input !== null;
  }

  holdsSecret(name: string): boolean {
    return this.secrets.has(name);
  }

  addRecord(record: ParticipantRecord, urgent: boolean): void {
    this.records.push(record);
    if (urgent) this.urgent = true;
  }

  addSecret(name: string, secret: Secret): void {
    this.secrets.set(name, secret);
    this.kept?.add(name);
    this.urgent = true;
  }

  addInput(input: MadeInput): void {
    this.input = input;
    // Equal words in two rounds, unmasked, are one blob.
    this.discarded.delete(input.blobHash);
    this.urgent = true;
  }

  sweep(kept: readonly string[]): void {
    this.kept = new Set(kept);
  }

  discard(hashes: readonly string[]): void {
    for (const hash of hashes) this.discarded.add(hash);
  }

  /** To be called within `together`. */
  write(ports: Pick<ParticipantPorts, 'putSecret' | 'putBlob' | 'recordEgress' | 'append'>): void {
    for (const [name, secret] of this.secrets) ports.putSecret(name, secret);
    if (this.input !== null) {
      const { task, blobHash, bytes } = this.input;
      ports.putBlob(bytes);
      ports.recordEgress(task, blobHash, bytes.byteLength);
    }
    if (this.records.length > 0) ports.append(this.records);
  }

  written(): void {
    this.secrets.clear();
    this.records.length = 0;
    this.input = null;
    this.urgent = false;
  }

  /** Only once everything is written: until then the records on disk may still need what is destroyed. */
  destroy(ports: Pick<ParticipantPorts, 'eraseSecretsExcept' | 'deleteBlob'>): void {
    for (const hash of this.discarded) ports.deleteBlob(hash);
    if (this.kept !== null) ports.eraseSecretsExcept([...this.kept]);
    this.discarded.clear();
    this.kept = null;
  }
}
