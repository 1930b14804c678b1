import type grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { LIMITS } from '../../shared/limits.js';
import { sha256 } from '../../shared/memory-stores.js';
import type { Enrolled } from '../../site-agent/keys.js';
import { openRegistry } from '../../site-agent/rpc.js';
import { openStubs } from '../../site-agent/rpc-channel.js';
import { Loopback, RecordingEvents, until } from '../support/federation.js';
import { freezingProxy } from '../support/freezing-proxy.js';

/** What gRPC adds to the contract of transport.test.ts: lines that break, freeze or carry nonsense. */
let loopback: Loopback;
let alder: Enrolled;

beforeAll(async () => {
  loopback = await Loopback.start();
  alder = await loopback.join('alder');
  await loopback.sign();
});
afterAll(() => loopback.stop());

describe('a control stream', () => {
  const hello = { site: 'alder', protocolVersion: 1, oldestProtocolVersion: 1, programVersion: 'test' };
  /** Sends these frames on a raw stream; the code with which the coordinator ends it, or `open` where it answers. */
  async function answerTo(frames: object[]): Promise<string> {
    const { stubs, close } = openStubs({
      address: `127.0.0.1:${loopback.server.port}`,
      authorityPem: alder.invitation.authority,
      certificate: { certificatePem: alder.tlsCertificatePem, privateKeyPem: alder.tlsKeyPem },
    });
    const stream = stubs.federation.connect();
    const code = await new Promise<string>((resolve) => {
      stream.on('error', (error: grpc.ServiceError) => resolve(String(error.metadata?.get('concordat-code')[0])));
      stream.on('data', (wire: { body?: string }) => wire.body === 'heartbeatAnswer' && resolve('open'));
      for (const frame of frames) stream.write(frame);
    });
    stream.cancel();
    close();
    return code;
  }

  it('begins with hello in the same protocol, once, and its heartbeats count upwards', async () => {
    const beat = (sequence: number) => ({ heartbeat: { sequence: String(sequence) } });
    expect(await answerTo([{ hello }, beat(1)])).toBe('open');
    expect(await answerTo([{ hello: { ...hello, protocolVersion: 3, oldestProtocolVersion: 2 } }])).toBe(
      'WIRE_VERSION_MISMATCH',
    );
    expect(await answerTo([beat(1)])).toBe('WIRE_MESSAGE_UNKNOWN');
    expect(await answerTo([{}])).toBe('WIRE_MESSAGE_UNKNOWN');
    expect(await answerTo([{ hello: { site: 'alder' } }])).toBe('WIRE_FIELD_MISSING');
    expect(await answerTo([{ hello }, { hello }])).toBe('WIRE_FIELD_INVALID');
    expect(await answerTo([{ hello }, beat(0)])).toBe('WIRE_FIELD_INVALID');
  });
});

describe('connections', () => {
  it('come back by themselves when the coordinator restarts on its port', async () => {
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    const port = loopback.server.port;
    await loopback.server.close();
    await until(() => events.log.length >= 2 && !link.connected, 'it noticed');
    await loopback.listen({ port });
    await until(() => events.log.filter((entry) => entry === 'connected').length === 2, 'it is in again');
    await link.close();
  });

  it('stay open while heartbeats go, and are closed when a site falls silent without closing', async () => {
    const port = loopback.server.port;
    await loopback.server.close();
    await loopback.listen({ port, heartbeatIntervalMs: 40, livenessTimeoutMs: 400 });
    const events = new RecordingEvents();
    const proxy = await freezingProxy(port);
    const link = loopback.connect(alder, events, { address: `127.0.0.1:${proxy.port}`, livenessTimeoutMs: 400 });
    await until(() => events.log.includes('connected'), 'it is in');
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(events.log).toEqual(['connected']);
    // Somebody sets the clock back; the silence is as long as it is.
    const wall = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => wall() - 7_200_000);
    try {
      proxy.freeze();
      const lost = loopback.handlers.log.length;
      await until(() => loopback.handlers.log.slice(lost).includes('-alder'), 'the coordinator gave it up');
      await until(() => events.log.includes('WIRE_SILENT'), 'the site gave the coordinator up');
    } finally {
      clock.mockRestore();
    }
    await link.close();
    proxy.close();
  });
});

describe('the registry', () => {
  it('is asked without taking the place of the running agent', async () => {
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    const registry = openRegistry({
      address: `127.0.0.1:${loopback.server.port}`,
      authorityPem: alder.invitation.authority,
      certificate: { certificatePem: alder.tlsCertificatePem, privateKeyPem: alder.tlsKeyPem },
    });
    const hash = await link.upload(Uint8Array.of(1, 2, 3));
    expect(await registry.listBundles()).toEqual([]);
    expect(await registry.download(hash)).toEqual(Uint8Array.of(1, 2, 3));
    await expect(registry.getBundle({ name: 'x', version: null })).rejects.toMatchObject({
      code: 'STORE_BLOB_MISSING',
    });
    await registry.close();
    expect(events.log).toEqual(['connected']);
    expect(link.connected).toBe(true);
    await link.close();
  });
});

describe('a blob that another site sent', () => {
  it('is as one that is not there: its hash alone neither shows nor replaces an upload', async () => {
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events);
    await until(() => events.log.includes('connected'), 'it is in');
    const bytes = Uint8Array.of(4, 5, 6);
    const hash = loopback.handlers.blobs.putBlob(bytes);
    expect(await link.upload(bytes)).toBe(hash);
    loopback.handlers.refuse.add(hash);
    await expect(link.upload(bytes)).rejects.toMatchObject({ code: 'WIRE_REFUSED' });
    loopback.handlers.refuse.delete(hash);
    await link.close();
  });
});

describe('a line that swallows everything', () => {
  it('from the beginning is given up and tried again', async () => {
    const proxy = await freezingProxy(loopback.server.port);
    proxy.freeze();
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events, { address: `127.0.0.1:${proxy.port}`, livenessTimeoutMs: 150 });
    await until(() => events.log.length >= 2, 'two tries');
    expect(new Set(events.log)).toEqual(new Set(['WIRE_SILENT']));
    await link.close();
    proxy.close();
  });
});

describe('a transfer that breaks off', () => {
  it('goes on where it stopped: 20 MB both ways through a line that breaks', async () => {
    const proxy = await freezingProxy(loopback.server.port);
    const events = new RecordingEvents();
    const link = loopback.connect(alder, events, { address: `127.0.0.1:${proxy.port}`, livenessTimeoutMs: 1_000 });
    await until(() => events.log.includes('connected'), 'it is in');
    const bytes = new Uint8Array(20_000_000);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i, 2654435761) >>> 24;
    const hash = sha256(bytes);
    proxy.breakAfter(8_000_000);
    expect(await link.upload(bytes)).toBe(hash);
    const sentUp = proxy.up;
    expect(proxy.broken).toBe(1);
    expect(loopback.handlers.blobs.blobSize(hash)).toBe(bytes.length);
    // Resumed, not begun again: less than one and a half times the blob went over the line.
    expect(sentUp).toBeGreaterThan(bytes.length);
    expect(sentUp).toBeLessThan(1.5 * bytes.length);

    const down = proxy.down;
    proxy.breakAfter(8_000_000);
    expect(sha256(await link.download(hash))).toBe(hash);
    expect(proxy.broken).toBe(2);
    expect(proxy.down - down).toBeGreaterThan(bytes.length);
    expect(proxy.down - down).toBeLessThan(1.5 * bytes.length);
    await link.close();
    proxy.close();
  });

  it('is refused when a chunk is not what its hash says, and leaves nothing behind', async () => {
    const { stubs, close } = openStubs({
      address: `127.0.0.1:${loopback.server.port}`,
      authorityPem: alder.invitation.authority,
      certificate: { certificatePem: alder.tlsCertificatePem, privateKeyPem: alder.tlsKeyPem },
    });
    const send = (chunks: object[]) =>
      new Promise<string>((resolve) => {
        const call = stubs.transfer.upload((error) =>
          resolve(String(error?.metadata?.get('concordat-code')[0] ?? 'stored')),
        );
        call.on('error', () => undefined);
        for (const chunk of chunks) call.write(chunk);
        call.end();
      });
    const data = Buffer.from('the data of the chunk');
    const digest = (of: Uint8Array) => Buffer.from(sha256(of), 'hex');
    const good = { blobSha256: digest(data), blobSize: String(data.length), offset: '0', data, sha256: digest(data) };
    expect(await send([{ ...good, data: Buffer.from('other') }])).toBe('WIRE_HASH_MISMATCH');
    expect(await send([{ ...good, blobSha256: undefined }])).toBe('WIRE_FIELD_MISSING');
    expect(await send([{ ...good, blobSize: '3' }])).toBe('WIRE_SIZE_EXCEEDED');
    expect(await send([{ ...good, blobSize: String(LIMITS.blobBytesMax + 1) }])).toBe('WIRE_SIZE_EXCEEDED');
    expect(await send([{ ...good, offset: '5', blobSize: '100' }])).toBe('WIRE_OFFSET_MISMATCH');
    expect(await send([{ ...good, blobSha256: digest(Buffer.from('else')) }])).toBe('WIRE_HASH_MISMATCH');
    expect(await send([])).toBe('WIRE_FIELD_MISSING');
    expect(await send([good])).toBe('stored');
    close();
  });
});
