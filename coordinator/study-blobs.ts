import { encodeDocument } from '../shared/document.js';
import type { StudyHostPorts } from './study-host-types.js';

/** Blobs that a site may send for one attempt; one is taken. */
const ANNOUNCED_MAX = 3;

/** What the round driver says of masked inputs: which one a site still owes, and which one it gave. */
export interface InputsOfRound {
  awaited(site: string): { readonly context: string; readonly byteLength: number } | null;
  given(site: string): string | null;
}

/** Which blobs of one study may go out to its sites, and which may come in from them. Pure but for the ports it is given. */
export class StudyBlobs {
  private readonly public = new Set<string>();
  private readonly results = new Map<string, string>();
  private readonly announced = new Map<string, { readonly context: string; readonly hashes: string[] }>();

  constructor(
    private readonly documentBlob: string,
    private readonly ports: Pick<StudyHostPorts, 'putBlob' | 'forgetUploads'>,
    /** Null while no round runs. */
    private readonly round: () => InputsOfRound | null,
  ) {}

  /** The sites may fetch it from now on. */
  publish(hash: string): void {
    this.public.add(hash);
  }

  putPublic(bytes: Uint8Array): string {
    const hash = this.ports.putBlob(bytes);
    this.publish(hash);
    return hash;
  }

  /** Hash of a computation's result, put the first time it is named. */
  result(instance: string, result: unknown): string {
    let hash = this.results.get(instance);
    if (hash === undefined) {
      hash = this.putPublic(encodeDocument(result));
      this.results.set(instance, hash);
    }
    return hash;
  }

  /** Whether sites of this study may fetch that blob: its document, broadcasts, public results and the bundle; no contribution, no total. */
  serves(hash: string): boolean {
    return hash === this.documentBlob || this.public.has(hash);
  }

  /**
   * Whether a masked input of that size is awaited from the site, and it announces no more than a few for the attempt: a site
   * that came back may first send the one of the attempt before again, and must not be shut out by that.
   */
  awaits(site: string, hash: string, size: number): boolean {
    const awaited = this.round()?.awaited(site) ?? null;
    if (awaited === null || awaited.byteLength !== size) return false;
    const before = this.announced.get(site);
    const hashes = before?.context === awaited.context ? before.hashes : [];
    if (!hashes.includes(hash)) {
      if (hashes.length >= ANNOUNCED_MAX) return false;
      hashes.push(hash);
    }
    this.announced.set(site, { context: awaited.context, hashes });
    // Otherwise a site could leave a few blobs behind with every attempt until the disk is full.
    if (before !== undefined && before.hashes !== hashes)
      this.ports.forgetUploads(
        site,
        before.hashes.filter((other) => other !== hash),
      );
    return true;
  }

  /** Whether a masked input of this site is awaited. */
  owes(site: string): boolean {
    return (this.round()?.awaited(site) ?? null) !== null;
  }

  /** Whether this site announced it, for whatever attempt it announced last. */
  isAnnounced(site: string, hash: string): boolean {
    return this.announced.get(site)?.hashes.includes(hash) === true;
  }

  /** Whether it is the masked input that this site announced or gave for the open attempt. */
  isOf(site: string, hash: string): boolean {
    const given = this.round()?.given(site) ?? null;
    return given === hash || (given === null && this.isAnnounced(site, hash));
  }

  /** Whether a blob that no durable event names is still needed: it is served, or a site has just sent it for the open attempt. */
  keeps(hash: string): boolean {
    if (this.serves(hash)) return true;
    const round = this.round();
    return [...this.announced].some(
      ([site, { context, hashes }]) =>
        hashes.includes(hash) && (round?.awaited(site)?.context === context || round?.given(site) === hash),
    );
  }
}
