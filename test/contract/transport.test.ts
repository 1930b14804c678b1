import { afterEach, describe, expect, it } from 'vitest';
import { ConcordatError } from '../../shared/errors.js';
import { memoryBlobStore, sha256 } from '../../shared/memory-stores.js';
import { memoryTransport } from '../../shared/memory-transport.js';
import type { CoordinatorLink, SiteLink } from '../../shared/transport.js';
import type { FromSite, ToSite } from '../../shared/wire/types.js';
import type { Enrolled } from '../../site-agent/keys.js';
import { Loopback, RecordingEvents, RecordingHandlers, until } from '../support/federation.js';

/** One contract for the line between coordinator and sites, in memory and over gRPC on loopback. */
interface Subject {
  readonly handlers: RecordingHandlers;
  readonly link: CoordinatorLink;
  connect(site: string, events: RecordingEvents): SiteLink;
  stop(): Promise<void>;
}

const SUBJECTS: { readonly name: string; make(): Promise<Subject> }[] = [
  {
    name: 'memory',
    async make() {
      const handlers = new RecordingHandlers(memoryBlobStore(), () => Promise.reject(new Error('no enrollment here')));
      const transport = memoryTransport(handlers);
      return { handlers, link: transport, connect: transport.connect, stop: () => transport.close() };
    },
  },
  {
    name: 'gRPC on loopback',
    async make() {
      const loopback = await Loopback.start();
      const sites = new Map<string, Enrolled>();
      for (const site of ['alder', 'birch']) sites.set(site, await loopback.join(site));
      await loopback.sign();
      return {
        handlers: loopback.handlers,
        link: loopback.server,
        connect: (site, events) => loopback.connect(sites.get(site)!, events),
        stop: () => loopback.stop(),
      };
    },
  },
];

const HASH = 'ab'.repeat(32);
const progress = (round: number): FromSite => ({
  type: 'taskProgress',
  studyHash: HASH,
  computation: 'describe',
  round,
  message: 'counting',
  workMs: 12_000,
});
const roundOf = (round: number): ToSite => ({ type: 'studyProgress', studyHash: HASH, computation: 'describe', round });

describe.each(SUBJECTS)('transport: $name', ({ make }) => {
  let subject: Subject;
  const links: SiteLink[] = [];
  afterEach(async () => {
    await Promise.all(links.splice(0).map((link) => link.close()));
    await subject.stop();
  });
  const connected = async (site: string): Promise<[SiteLink, RecordingEvents]> => {
    const events = new RecordingEvents();
    const link = subject.connect(site, events);
    links.push(link);
    await until(() => events.log.includes('connected') && subject.link.isConnected(site), `${site} is connected`);
    return [link, events];
  };

  it('keeps the order of each site, both ways', async () => {
    subject = await make();
    const [alder, toAlder] = await connected('alder');
    const [birch, toBirch] = await connected('birch');
    for (let i = 0; i < 200; i++) {
      expect(alder.send(progress(i))).toBe(true);
      if (i % 2 === 0) birch.send(progress(i));
      expect(subject.link.send('birch', roundOf(i))).toBe(true);
    }
    await until(() => subject.handlers.messages.length === 300 && toBirch.messages.length === 200, 'all arrived');
    expect(subject.handlers.messages.filter(({ site }) => site === 'alder').map(({ message }) => message)).toEqual(
      Array.from({ length: 200 }, (_, i) => progress(i)),
    );
    expect(toBirch.messages).toEqual(Array.from({ length: 200 }, (_, i) => roundOf(i)));
    expect(toAlder.messages).toEqual([]);
  });

  it('says that nothing was sent where there is no connection', async () => {
    subject = await make();
    expect(subject.link.send('alder', roundOf(1))).toBe(false);
    const [alder] = await connected('alder');
    await alder.close();
    await until(() => subject.handlers.log.includes('-alder'), 'the coordinator knows');
    expect(alder.send(progress(1))).toBe(false);
    expect(subject.link.send('alder', roundOf(1))).toBe(false);
    expect(subject.handlers.messages).toEqual([]);
  });

  it('lets a new connection of a site take the place of the old one', async () => {
    subject = await make();
    const [first, firstEvents] = await connected('alder');
    const second = new RecordingEvents();
    const link = subject.connect('alder', second);
    links.push(link);
    await until(() => firstEvents.log.includes('SITE_REPLACED'), 'the old one is told');
    await first.close();
    await until(() => second.log.includes('connected') && subject.link.isConnected('alder'), 'the new one stays');
    expect(subject.handlers.log.slice(0, 3)).toEqual(['+alder', '-alder', '+alder']);
  });

  it('ends a connection with the code the coordinator gives, or that a handler throws', async () => {
    subject = await make();
    const [, events] = await connected('alder');
    subject.link.disconnect('alder', new ConcordatError('SITE_REVOKED', 'revoked'));
    await until(() => events.log.includes('SITE_REVOKED'), 'the site is told');
    const [birch, birchEvents] = await connected('birch');
    subject.handlers.onMessage = () => {
      throw new ConcordatError('STUDY_WRONG_PHASE', 'not now');
    };
    birch.send(progress(1));
    await until(() => birchEvents.log.includes('STUDY_WRONG_PHASE'), 'the site is told');
  });

  it('moves blobs both ways, whole or not at all', async () => {
    subject = await make();
    const [alder] = await connected('alder');
    for (const length of [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 8)) & 255);
      const hash = await alder.upload(bytes);
      expect(hash).toBe(sha256(bytes));
      expect(Buffer.from(subject.handlers.blobs.getBlob(hash)).equals(bytes)).toBe(true);
      expect(Buffer.from(await alder.download(hash)).equals(bytes)).toBe(true);
      // What is there already is not sent again.
      const stored = subject.handlers.log.length;
      await alder.upload(bytes);
      expect(subject.handlers.log.length).toBe(stored);
    }
    await expect(alder.download(HASH)).rejects.toMatchObject({ code: 'STORE_BLOB_MISSING' });
  });

  it('takes what is said to be fresh, also where a part or all of it is there already', async () => {
    subject = await make();
    const [alder] = await connected('alder');
    const { blobs } = subject.handlers;
    for (const length of [0, 1, 2000, 256 * 1024, 300_000])
      for (const there of [0, 0.5, 1]) {
        const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + (i >> 8) + 100 * there) & 255);
        const part = bytes.subarray(0, Math.floor(length * there));
        if (part.length > 0) blobs.appendPartial('alder', sha256(bytes), 0, part);
        for (const time of ['the first time', 'again']) {
          expect(await alder.upload(bytes, true), time).toBe(sha256(bytes));
          expect(Buffer.from(blobs.getBlob(sha256(bytes))).equals(bytes)).toBe(true);
        }
      }
  });

  it('refuses blobs that the coordinator does not expect or does not show', async () => {
    subject = await make();
    const [alder] = await connected('alder');
    const bytes = Uint8Array.of(1, 2, 3);
    const shown = await alder.upload(bytes);
    subject.handlers.refuse = new Set([shown, sha256(Uint8Array.of(4))]);
    await expect(alder.download(shown)).rejects.toMatchObject({ code: 'STORE_BLOB_MISSING' });
    await expect(alder.upload(Uint8Array.of(4))).rejects.toMatchObject({ code: 'WIRE_REFUSED' });
  });

  it('lists published bundles', async () => {
    subject = await make();
    const [alder] = await connected('alder');
    const bundle = {
      name: 'hcc-mvi',
      version: 1,
      digest: HASH,
      studyHash: HASH,
      phase: 'published',
      publishedAt: '2026-11-21T00:00:00Z',
    };
    subject.handlers.bundles.push({ bundle, files: [{ path: 'model.onnx', sha256: HASH, size: 12 }] });
    expect(await alder.listBundles()).toEqual([bundle]);
    expect((await alder.getBundle({ name: 'hcc-mvi', version: null })).files).toEqual([
      { path: 'model.onnx', sha256: HASH, size: 12 },
    ]);
    await expect(alder.getBundle({ name: 'other', version: 2 })).rejects.toMatchObject({ code: 'STORE_BLOB_MISSING' });
  });
});
