import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Database from 'libsql';
import { afterEach, describe, expect, it } from 'vitest';
import { openBlobStore } from '../../coordinator/blob-store.js';
import { openEventStore } from '../../coordinator/event-store.js';
import { memoryBlobStore, memoryEventStore, memorySiteStore } from '../../shared/memory-stores.js';
import { Secret } from '../../shared/secret.js';
import type { BlobStore, EventStore, PartialBlobStore, SiteStore } from '../../shared/stores.js';
import { openSiteStore } from '../../site-agent/store.js';

/** One contract a kind of store, run against every implementation. `reopen` is what a restart does; memory has none. */
const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'concordat-store-'));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

const utf8 = (text: string) => new Uint8Array(Buffer.from(text));
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return 'none';
};

interface Kind<T> {
  readonly name: string;
  open(folder: string): T;
  readonly durable: boolean;
}

const EVENT_STORES: Kind<EventStore>[] = [
  { name: 'memory', open: memoryEventStore, durable: false },
  { name: 'coordinator file', open: (at) => openEventStore(path.join(at, 'events.db')), durable: true },
  { name: 'site memory', open: memorySiteStore, durable: false },
  { name: 'site file', open: openSiteStore, durable: true },
];

describe.each(EVENT_STORES)('event store: $name', ({ open, durable }) => {
  it('keeps order, batches and bytes, and numbers without gaps', () => {
    const at = folder();
    let store = open(at);
    const binary = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(store.append([])).toBe(0);
    expect(store.append([{ study: 'a', type: 'x', payload: binary }])).toBe(1);
    expect(
      store.append([
        { study: 'b', type: 'y', payload: utf8('') },
        { study: 'a', type: 'z', payload: utf8('three') },
      ]),
    ).toBe(3);
    if (durable) {
      store.close();
      store = open(at);
    }
    const all = [...store.replay()];
    expect(all.map((event) => [event.sequence, event.study, event.type])).toEqual([
      [1, 'a', 'x'],
      [2, 'b', 'y'],
      [3, 'a', 'z'],
    ]);
    expect(all[0]!.payload).toEqual(binary);
    expect([...store.replay({ study: 'a', after: 1 })].map((event) => event.sequence)).toEqual([3]);
    store.close();
  });

  it('replays more than one page, also while it is appended to', () => {
    const store = open(folder());
    store.append(Array.from({ length: 1203 }, (_, i) => ({ study: 's', type: 't', payload: utf8(String(i)) })));
    let seen = 0;
    for (const event of store.replay()) {
      if (seen === 0) store.append([{ study: 's', type: 'late', payload: utf8('late') }]);
      if (event.type === 't') expect(Buffer.from(event.payload).toString()).toBe(String(seen++));
    }
    expect(seen).toBe(1203);
    store.close();
  });

  it('appends a whole batch or nothing of it', () => {
    const store = open(folder());
    const broken = { study: 's', type: 't', payload: null as unknown as Uint8Array };
    expect(() => store.append([{ study: 's', type: 't', payload: utf8('1') }, broken])).toThrow();
    expect([...store.replay()]).toEqual([]);
    store.close();
  });
});

const BLOB_STORES: Kind<BlobStore>[] = [
  { name: 'memory', open: memoryBlobStore, durable: false },
  { name: 'coordinator files', open: openBlobStore, durable: true },
  { name: 'site memory', open: memorySiteStore, durable: false },
  { name: 'site file', open: openSiteStore, durable: true },
];

describe.each(BLOB_STORES)('blob store: $name', ({ open }) => {
  it('gives back what was put, under its SHA-256, until it is deleted', () => {
    const store = open(folder());
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) & 255);
    const hash = store.putBlob(bytes);
    expect(hash).toBe(hashOf(bytes));
    expect(store.putBlob(bytes)).toBe(hash);
    expect(Buffer.from(store.getBlob(hash)).equals(bytes)).toBe(true);
    expect(store.blobSize(hash)).toBe(100_000);
    const empty = store.putBlob(new Uint8Array());
    expect(store.getBlob(empty).length).toBe(0);
    store.deleteBlob(hash);
    store.deleteBlob(hash);
    expect(store.blobSize(hash)).toBeNull();
    expect(codeOf(() => store.getBlob(hash))).toBe('STORE_BLOB_MISSING');
  });

  it('gives the whole blob, whatever memory is offered for it', () => {
    const store = open(folder());
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 13) & 255);
    const hash = store.putBlob(bytes);
    for (const length of [0, 4999, 5000, 5001])
      expect(Buffer.from(store.getBlob(hash, new Uint8Array(length).fill(7))).equals(bytes), String(length)).toBe(true);
    expect(codeOf(() => store.getBlob(hashOf(utf8('no such')), new Uint8Array(7)))).toBe('STORE_BLOB_MISSING');
  });

  it('keeps a copy that later changes of the caller do not touch', () => {
    const store = open(folder());
    const bytes = utf8('before');
    const hash = store.putBlob(bytes);
    bytes.fill(0);
    store.getBlob(hash).fill(1);
    expect(Buffer.from(store.getBlob(hash)).toString()).toBe('before');
  });
});

const PARTIAL_STORES: Kind<PartialBlobStore>[] = [
  { name: 'memory', open: memoryBlobStore, durable: false },
  { name: 'files', open: openBlobStore, durable: true },
];

it('what an earlier process received of a blob is read again before it counts', () => {
  const at = folder();
  const whole = Buffer.from('one half, other half');
  const hash = hashOf(whole);
  openBlobStore(at).appendPartial('alder', hash, 0, whole.subarray(0, 10));
  writeFileSync(path.join(at, 'partial', `alder@${hash}`), 'ONE half, ');
  const later = openBlobStore(at);
  later.appendPartial('alder', hash, 10, whole.subarray(10));
  expect(codeOf(() => later.finishPartial('alder', hash))).toBe('WIRE_HASH_MISMATCH');
  expect(later.blobSize(hash)).toBeNull();
});

describe.each(PARTIAL_STORES)('arriving blobs: $name', ({ open, durable }) => {
  const whole = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 7) & 255);
  const hash = hashOf(whole);

  it('come in pieces, go on after a stop, and appear only when whole', () => {
    const at = folder();
    let store = open(at);
    store.appendPartial('alder', hash, 0, whole.subarray(0, 20_000));
    if (durable) store = open(at);
    expect(store.partialSize('alder', hash)).toBe(20_000);
    expect(store.partialSize('birch', hash)).toBe(0);
    expect(store.blobSize(hash)).toBeNull();
    expect(codeOf(() => store.appendPartial('alder', hash, 10, whole.subarray(0, 5)))).toBe('WIRE_OFFSET_MISMATCH');
    store.appendPartial('alder', hash, 20_000, whole.subarray(20_000));
    store.finishPartial('alder', hash);
    expect(Buffer.from(store.readBlob(hash, 49_000, 5_000)).equals(whole.subarray(49_000))).toBe(true);
    expect(store.partialSize('alder', hash)).toBe(0);
  });

  it('are listed when they are whole, and only then', () => {
    const store = open(folder());
    const others = ['one', 'two'].map((text) => store.putBlob(utf8(text)));
    store.appendPartial('alder', hash, 0, whole);
    expect([...store.blobHashes()].sort()).toEqual([...others].sort());
    store.finishPartial('alder', hash);
    store.deleteBlob(others[0]!);
    expect([...store.blobHashes()].sort()).toEqual([others[1]!, hash].sort());
  });

  it('are dropped with the drafts of a killed process, but for senders that are still awaited', () => {
    const at = folder();
    const store = open(at);
    for (const site of ['alder', 'birch']) store.appendPartial(site, hash, 0, whole.subarray(0, 10));
    const other = store.putBlob(utf8('kept'));
    if (durable) writeFileSync(path.join(at, 'partial', 'new-4711-1'), 'draft');
    store.sweepPartials((site) => site === 'alder');
    expect(store.partialSize('alder', hash)).toBe(10);
    expect(store.partialSize('birch', hash)).toBe(0);
    expect(store.blobSize(other)).toBe(4);
    if (durable) expect(readdirSync(path.join(at, 'partial'))).toEqual([`alder@${hash}`]);
  });

  it('are refused and forgotten when their hash is another', () => {
    const store = open(folder());
    store.appendPartial('alder', hash, 0, utf8('something else'));
    expect(codeOf(() => store.finishPartial('alder', hash))).toBe('WIRE_HASH_MISMATCH');
    expect(store.partialSize('alder', hash)).toBe(0);
    expect(store.blobSize(hash)).toBeNull();
  });
});

describe('arriving blobs after a crash', () => {
  const whole = Uint8Array.from({ length: 30_000 }, (_, i) => (i * 13) & 255);
  const hash = hashOf(whole);

  it.each([
    ['cut in the middle of a piece', whole.subarray(0, 12_345)],
    ['longer than what was acknowledged', Buffer.concat([whole.subarray(0, 10_000), Buffer.alloc(500, 7)])],
    ['empty', new Uint8Array()],
    ['with other bytes', Uint8Array.from(whole.subarray(0, 20_000), (byte, i) => (i === 9 ? byte ^ 1 : byte))],
  ])('%s: the hash tells, and the sender begins again', (_, left) => {
    const at = folder();
    openBlobStore(at).appendPartial('alder', hash, 0, whole.subarray(0, 10_000));
    writeFileSync(path.join(at, 'partial', `alder@${hash}`), left);
    // A new process goes on from what is there, as the sender does.
    const store = openBlobStore(at);
    const send = () => {
      const from = store.partialSize('alder', hash);
      store.appendPartial('alder', hash, from, whole.subarray(from));
      store.finishPartial('alder', hash);
    };
    if (codeOf(send) !== 'none') {
      expect(store.blobSize(hash)).toBeNull();
      expect(store.partialSize('alder', hash)).toBe(0);
      send();
    }
    expect(Buffer.from(store.getBlob(hash)).equals(whole)).toBe(true);
  });
});

const SITE_STORES: Kind<SiteStore>[] = [
  { name: 'memory', open: memorySiteStore, durable: false },
  { name: 'file', open: openSiteStore, durable: true },
];

describe.each(SITE_STORES)('site store: $name', ({ open, durable }) => {
  it('keeps secrets by study and name until they are erased', () => {
    const at = folder();
    let store = open(at);
    for (const name of ['slot-1', 'slot-2', "o'slot"]) store.putSecret('s', name, new Secret(utf8(`${name} of s`)));
    store.putSecret('other', 'slot-1', new Secret(utf8('other')));
    store.putSecret('s', 'slot-2', new Secret(utf8('newer')));
    if (durable) {
      store.close();
      store = open(at);
    }
    expect(store.secretNames('s')).toEqual(["o'slot", 'slot-1', 'slot-2']);
    expect(Buffer.from(store.getSecret('s', 'slot-2').reveal()).toString()).toBe('newer');
    store.eraseSecretsExcept('s', ['slot-2', 'never']);
    expect(store.secretNames('s')).toEqual(['slot-2']);
    expect(store.secretNames('other')).toEqual(['slot-1']);
    expect(codeOf(() => store.getSecret('s', 'slot-1'))).toBe('STORE_SECRET_MISSING');
    store.close();
  });

  it('keeps settings and the ledger', () => {
    const at = folder();
    let store = open(at);
    store.setSetting('b', '1');
    store.setSetting('a', 'x');
    store.setSetting('b', '2');
    expect([store.appendLedger('first'), store.appendLedger('second')]).toEqual([1, 2]);
    if (durable) {
      store.close();
      store = open(at);
    }
    expect([...store.settings()]).toEqual([
      ['a', 'x'],
      ['b', '2'],
    ]);
    expect([store.getSetting('b'), store.getSetting('c')]).toEqual(['2', null]);
    expect(store.ledger()).toEqual(['first', 'second']);
    store.close();
  });
});

// Whatever a stopped process still had under way must not come behind the back of the one that took over its files.
it.each(EVENT_STORES.filter(({ durable }) => durable))('a closed $name takes and gives no record', ({ open }) => {
  const at = folder();
  const store = open(at);
  const record = { study: 's', type: 't', payload: utf8('1') };
  store.append([record]);
  store.close();
  expect(codeOf(() => store.append([record]))).toBe('STORE_UNWRITABLE');
  expect(codeOf(() => store.append(Array.from({ length: 40 }, () => record)))).toBe('STORE_UNWRITABLE');
  expect(codeOf(() => [...store.replay()])).toBe('STORE_UNWRITABLE');
  const again = open(at);
  expect([...again.replay()].length).toBe(1);
  again.close();
});

it('a closed store of a site takes nothing more, in a group of writes neither', () => {
  const at = folder();
  const store = openSiteStore(at);
  store.close();
  const writes = [
    () => store.setSetting('k', 'v'),
    () => store.appendLedger('line'),
    () => store.putBlob(utf8('blob')),
    () => store.putSecret('s', 'secret', new Secret(utf8('secret'))),
  ];
  for (const write of writes) {
    expect(codeOf(write)).toBe('STORE_UNWRITABLE');
    expect(codeOf(() => store.together(() => void write()))).toBe('STORE_UNWRITABLE');
  }
  const again = openSiteStore(at);
  expect([again.getSetting('k'), again.ledger(), again.secretNames('s')]).toEqual([null, [], []]);
  expect(again.blobSize(hashOf(utf8('blob')))).toBeNull();
  again.close();
});

describe.each(SITE_STORES)('writes of a site that belong together: $name', ({ open, durable }) => {
  const payload = utf8('record');
  const record = { study: 's', type: 't', payload };

  it('are all there when it returns, and only then is told that they are durable', () => {
    const at = folder();
    let store = open(at);
    store.putSecret('s', 'old', new Secret(utf8('old')));
    const stale = store.putBlob(utf8('stale'));
    const told: string[] = [];
    store.together(() => {
      store.append([record]);
      store.eraseSecretsExcept('s', []);
      store.deleteBlob(stale);
      store.putSecret('s', 'new', new Secret(utf8('new')));
      store.setSetting('k', 'v');
      store.onceDurable(() => told.push(`${store.ledger().length} ${store.secretNames('s').join()}`));
      store.appendLedger('line');
      expect(told).toEqual([]);
    });
    // What is put after a sweep in the same group is not swept.
    expect(told).toEqual(['1 new']);
    store.onceDurable(() => told.push('at once'));
    expect(told).toHaveLength(2);
    if (durable) {
      store.close();
      store = open(at);
    }
    expect([...store.replay()].length).toBe(1);
    expect([store.getSetting('k'), store.ledger(), store.blobSize(stale)]).toEqual(['v', ['line'], null]);
    expect(store.secretNames('s')).toEqual(['new']);
    store.close();
  });

  it('that fail in the middle are not told durable, and the next ones are', () => {
    const store = open(folder());
    const told: string[] = [];
    const failing = () =>
      store.together(() => {
        store.append([record]);
        store.onceDurable(() => told.push('never'));
        throw new Error('the disk is full');
      });
    expect(failing).toThrow('the disk is full');
    store.together(() => store.onceDurable(() => told.push('next')));
    expect(told).toEqual(['next']);
    expect(store.append([record])).toBe(durable ? 1 : 2);
    store.close();
  });
});

it('a group of writes that fails leaves nothing in log, settings and ledger, and destroys nothing', () => {
  const store = openSiteStore(folder());
  store.putSecret('s', 'kept', new Secret(utf8('kept')));
  expect(() =>
    store.together(() => {
      store.append([{ study: 's', type: 't', payload: utf8('1') }]);
      store.setSetting('k', 'v');
      store.appendLedger('line');
      store.eraseSecretsExcept('s', []);
      store.append([{ study: 's', type: 't', payload: null as unknown as Uint8Array }]);
    }),
  ).toThrow();
  expect([...store.replay()].length).toBe(0);
  expect([store.getSetting('k'), store.ledger(), store.secretNames('s')]).toEqual([null, [], ['kept']]);
  store.close();
});

describe('files', () => {
  it('hold no copy of an erased secret, in no file of the folder', () => {
    const at = folder();
    const store = openSiteStore(at);
    const canary = 'CANARY-OF-A-MASK-KEY-0123456789ab';
    const holds = () => readdirSync(at).filter((file) => readFileSync(path.join(at, file)).includes(canary));
    store.putSecret('s', 'kept', new Secret(utf8('kept secret')));
    store.putSecret('s', 'gone', new Secret(utf8(canary)));
    expect(holds().length).toBeGreaterThan(0);
    // A statement that was read from must not keep the write-ahead log from being emptied.
    expect([store.getSecret('s', 'gone').length, store.secretNames('s').length]).toEqual([canary.length, 2]);
    store.eraseSecretsExcept('s', ['kept']);
    expect(holds()).toEqual([]);
    store.close();
    expect(holds()).toEqual([]);
  });

  it('are readable by their owner only', () => {
    const at = folder();
    openSiteStore(at).close();
    openEventStore(path.join(at, 'events.db')).close();
    const blobs = openBlobStore(path.join(at, 'blobs'));
    const hash = blobs.putBlob(utf8('x'));
    for (const file of ['site.db', 'erasable.db', 'events.db', `blobs/${hash.slice(0, 2)}/${hash}`])
      expect(statSync(path.join(at, file)).mode & 0o077, file).toBe(0);
  });

  it('of another version, damaged ones and unwritable places are named as such', () => {
    const at = folder();
    const file = path.join(at, 'events.db');
    const other = new Database(file);
    other.exec('PRAGMA user_version = 99');
    other.close();
    expect(codeOf(() => openEventStore(file))).toBe('STORE_VERSION');

    writeFileSync(path.join(at, 'noise.db'), Buffer.alloc(8192, 'not a database'));
    expect(codeOf(() => openEventStore(path.join(at, 'noise.db')))).toBe('STORE_DAMAGED');
    expect(codeOf(() => openEventStore(path.join(at, 'no', 'such', 'folder.db')))).toBe('STORE_UNWRITABLE');

    const blobs = openBlobStore(path.join(at, 'blobs'));
    const hash = blobs.putBlob(utf8('a blob that will be cut'));
    truncateSync(path.join(at, 'blobs', hash.slice(0, 2), hash), 5);
    expect(codeOf(() => blobs.getBlob(hash))).toBe('STORE_DAMAGED');
    // Putting it again mends it, also where only the bytes are other ones.
    for (const damaged of ['', 'a blob that will be', 'a blob that was not cut']) {
      writeFileSync(path.join(at, 'blobs', hash.slice(0, 2), hash), damaged);
      expect(blobs.isWhole(hash), damaged).toBe(false);
      for (const into of [undefined, new Uint8Array(damaged.length), new Uint8Array(23)])
        expect(
          codeOf(() => blobs.getBlob(hash, into)),
          damaged,
        ).toBe('STORE_DAMAGED');
      blobs.putBlob(utf8('a blob that will be cut'));
      expect(blobs.isWhole(hash)).toBe(true);
      expect(blobs.getBlob(hash).length).toBe(23);
    }
  });
});
