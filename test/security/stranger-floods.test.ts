import { readFileSync } from 'node:fs';
import type http2 from 'node:http2';
import type net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { networkOf } from '../../coordinator/rpc-door.js';
import { LIMITS } from '../../shared/limits.js';
import { seededRandom } from '../../shared/rng.js';
import { until } from '../support/federation.js';
import {
  Besieged,
  bomb,
  call,
  closed,
  ENROLL,
  frame,
  framed,
  HEALTH,
  LIST,
  PREFACE,
  STRANGER_ADDRESS,
  UPLOAD,
} from './stranger-kit.js';

/** A stranger that wears the coordinator down: too many, too much, too slow, or nonsense. Counts are judged, not times. */
let world: Besieged | undefined;

afterEach(async () => {
  await world?.stop();
  world = undefined;
});

const some = (count: number) => Array.from({ length: count }, (_, index) => index);
const connected = (socket: net.Socket) =>
  new Promise<void>((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', () => resolve());
  });

async function tidy(of: Besieged, ...codes: string[]): Promise<void> {
  expect(of.codes()).toEqual(codes);
  await of.stillServes();
  await until(() => of.load.strangers === 0, `no stranger is left: ${JSON.stringify(of.load)}`);
  expect(of.load.enrolled['alder']).toBeLessThanOrEqual(2);
}

describe('too many connections', () => {
  it('of one network: it loses its own oldest, others get in, and the log does not grow with the flood', async () => {
    const of = await Besieged.start();
    world = of;
    const sockets: net.Socket[] = [];
    for (let wave = 0; wave < 5; wave++) {
      const fresh = some(60).map(() => of.tcp());
      await Promise.all(fresh.map(connected));
      sockets.push(...fresh);
      await until(() => sockets.filter(({ destroyed }) => !destroyed).length <= LIMITS.strangersPerNetworkMax, 'cut');
      expect(of.load.strangers).toBeLessThanOrEqual(LIMITS.strangersPerNetworkMax);
      await of.stillServes();
    }
    expect(of.refusals.map(({ code, times }) => [code, times])).toEqual([
      ['WIRE_CONNECTIONS_EXCEEDED', 1],
      ['WIRE_CONNECTIONS_EXCEEDED', 10],
      ['WIRE_CONNECTIONS_EXCEEDED', 100],
    ]);
    for (const socket of sockets) socket.destroy();
    await tidy(of, 'WIRE_CONNECTIONS_EXCEEDED');
  });

  it('of many networks: the fullest lose theirs, and a site that comes just then gets in', async () => {
    const of = await Besieged.start();
    world = of;
    const sockets: net.Socket[] = [];
    for (let network = 1; network <= 12; network++) {
      const fresh = some(20).map(() => of.tcp(`127.0.2.${network}`));
      await Promise.all(fresh.map(connected));
      sockets.push(...fresh);
    }
    await until(() => sockets.filter(({ destroyed }) => !destroyed).length <= LIMITS.strangersMax, 'cut');
    expect(of.load.strangers).toBeLessThanOrEqual(LIMITS.strangersMax);
    await of.stillServes();
    for (const socket of sockets) socket.destroy();
    await tidy(of, 'WIRE_CONNECTIONS_EXCEEDED');
  });

  it('of one enrolled site: it loses its own oldest, no other site does', async () => {
    const of = await Besieged.start();
    world = of;
    const birch = await of.loopback.join('birch');
    await of.loopback.sign();
    const sessions: http2.ClientHttp2Session[] = [];
    for (const _ of some(LIMITS.connectionsPerSiteMax + 5)) {
      const session = of.http2({ cert: birch.tlsCertificatePem, key: birch.tlsKeyPem });
      await call(session, LIST, framed(new Uint8Array())).answer;
      sessions.push(session);
    }
    expect(of.load.enrolled).toEqual({ alder: 1, birch: LIMITS.connectionsPerSiteMax });
    expect(sessions.map(({ destroyed }) => destroyed)).toEqual(sessions.map((_, index) => index < 5));
    for (const session of sessions) session.destroy();
    await tidy(of, 'WIRE_CONNECTIONS_EXCEEDED');
  });

  it('counts an IPv6 customer once, whatever of its addresses it uses', () => {
    expect(networkOf('::ffff:10.1.2.3')).toBe('10.1.2.3');
    expect(networkOf('2001:db8:1:2:aaaa::1')).toBe(networkOf('2001:db8:1:2::ffff'));
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(networkOf('2001:db8:1:2::1')).not.toBe(networkOf('2001:db8:1:3::1'));
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
  });
});

describe('too slow', () => {
  it('a handshake, a header, a message or a call that never ends is ended, and each is logged', async () => {
    const of = await Besieged.start({ handshakeTimeoutMs: 500, strangerLifetimeMs: 1500 });
    world = of;
    // Nothing at all; half of a ClientHello; HTTP/2 without an end of its headers; half a message; an endless stream.
    const nothing = of.tcp('127.0.3.1');
    const half = of.tcp('127.0.3.2');
    half.on('connect', () => half.write(Buffer.from('1603010200010001fc0303', 'hex')));
    const headers = of.tls({ from: '127.0.3.3' });
    headers.on('secureConnect', () => {
      headers.write(Buffer.concat([PREFACE, frame(4, 0, 0), frame(1, 0, 1, Buffer.from('8287', 'hex'))]));
    });
    const message = of.http2({ from: '127.0.3.4' });
    call(message, ENROLL, null).stream.write(framed(Buffer.alloc(10), 4000));
    const endless = of.http2({ from: '127.0.3.5' });
    call(endless, UPLOAD, null);
    headers.resume();
    await Promise.all([nothing, half, headers, message, endless].map(closed));
    expect(new Set(of.refusals.map(({ address, code }) => `${address} ${code}`))).toEqual(
      new Set([
        ...some(5).map((index) => `127.0.3.${index + 1} WIRE_TIME_EXCEEDED`),
        '127.0.3.5 ENROLL_CERTIFICATE_MISSING',
      ]),
    );
    await tidy(of, 'ENROLL_CERTIFICATE_MISSING', 'WIRE_TIME_EXCEEDED');
  });
});

describe('too much', () => {
  it('a message without end, a lying length, an endless upload: cut at the bytes a stranger may send', async () => {
    const of = await Besieged.start({ strangerSweepMs: 600_000 });
    world = of;
    for (const [index, announced] of [0xffff_ffff, 8 * 1024 * 1024, 1024 * 1024].entries()) {
      const session = of.http2({ from: `127.0.4.${index + 1}` });
      const { stream } = call(session, [ENROLL, UPLOAD, HEALTH][index]!, null);
      let written = 0;
      stream.write(framed(Buffer.alloc(1), announced));
      const pump = () => {
        while (!stream.destroyed && written < 64 * 1024 * 1024) {
          written += 65_536;
          if (!stream.write(Buffer.alloc(65_536))) return void stream.once('drain', pump);
        }
      };
      pump();
      await closed(session);
      // Flow control and the cut together: what was taken is a few windows, not what was offered.
      expect(written).toBeLessThan(4 * 1024 * 1024);
    }
    await tidy(of, 'ENROLL_CERTIFICATE_MISSING', 'WIRE_SIZE_EXCEEDED');
  });

  it('from an enrolled site: a length beyond the limit ends the call and not the connection', async () => {
    const of = await Besieged.start();
    world = of;
    const session = of.http2(of.asSite());
    const { answer } = call(session, LIST, framed(Buffer.alloc(100), LIMITS.controlMessageBytesMax + 1));
    expect((await answer)['grpc-status']).toBe('8');
    expect((await call(session, LIST, framed(new Uint8Array())).answer)['grpc-status']).toBe('0');
    session.destroy();
    await tidy(of);
  });

  it('packed small: compressed messages are refused unopened, of a stranger and of a site', async () => {
    const of = await Besieged.start();
    world = of;
    const packed = bomb(64 * 1024 * 1024);
    expect(packed.length).toBeLessThan(100_000);
    for (const encoding of ['gzip', 'deflate', 'x-unknown']) {
      const headers = { 'grpc-encoding': encoding };
      for (const options of [{}, of.asSite()]) {
        const session = of.http2(options);
        const { answer } = call(session, HEALTH, framed(packed, packed.length, 1), headers);
        expect(await answer).toMatchObject({ 'grpc-status': '12', 'concordat-code': 'WIRE_COMPRESSED' });
        session.destroy();
      }
    }
    // Without the header the flag alone unpacks nothing: it is no message of the service.
    const session = of.http2();
    const { answer } = call(session, HEALTH, framed(packed, packed.length, 1));
    expect((await answer)['grpc-status']).not.toBe('0');
    session.destroy();
    await tidy(of, 'WIRE_COMPRESSED');
  });

  it('in streams at a time: the rest is refused by HTTP/2', async () => {
    const of = await Besieged.start();
    world = of;
    const session = of.http2();
    await call(session, HEALTH, framed(new Uint8Array())).answer;
    const streams = some(200).map(() => call(session, ENROLL, null).stream);
    await until(() => of.load.streams >= LIMITS.streamsPerConnectionMax, 'the room is full');
    expect(of.load.streams).toBeLessThanOrEqual(LIMITS.streamsPerConnectionMax + 1);
    expect(session.remoteSettings.maxConcurrentStreams).toBe(LIMITS.streamsPerConnectionMax);
    await of.stillServes();
    for (const stream of streams) stream.destroy();
    session.destroy();
    await tidy(of);
  });
});

describe('nonsense', () => {
  const FLOODS: [string, () => Buffer][] = [
    ['settings', () => frame(4, 0, 0)],
    ['ping', () => frame(6, 0, 0, Buffer.alloc(8))],
    ['priority', () => frame(2, 0, 1, Buffer.from('0000000001', 'hex'))],
    ['frames of no known type', () => frame(0xfe, 0, 0)],
    ['window updates', () => frame(8, 0, 0, Buffer.from('00000001', 'hex'))],
  ];

  it('floods of frames that cost the sender little are cut at the same number of bytes', async () => {
    const of = await Besieged.start();
    world = of;
    for (const [index, [name, make]] of FLOODS.entries()) {
      const from = `127.0.5.${index + 1}`;
      const socket = of.tls({ from });
      const chunk = Buffer.concat(some(2000).map(make));
      socket.on('secureConnect', () => {
        socket.write(Buffer.concat([PREFACE, frame(4, 0, 0)]));
        const pump = () => {
          while (!socket.destroyed) if (!socket.write(chunk)) return void socket.once('drain', pump);
        };
        pump();
      });
      socket.resume();
      await closed(socket);
      await until(() => of.refusals.some(({ address }) => address === from), `the flood of ${name} was logged`);
    }
    for (const { code } of of.refusals) expect(['WIRE_PROTOCOL_BROKEN', 'WIRE_SIZE_EXCEEDED']).toContain(code);
    await of.stillServes();
    await until(() => of.load.strangers === 0, 'no stranger is left');
  });

  it('opening and resetting streams at once ("rapid reset") ends the connection', async () => {
    const of = await Besieged.start();
    world = of;
    const socket = of.tls();
    // :method POST, :scheme https, :path /, :authority empty; then RST_STREAM.
    const block = Buffer.from('838784410000', 'hex').subarray(0, 3);
    socket.on('secureConnect', () => {
      socket.write(Buffer.concat([PREFACE, frame(4, 0, 0)]));
      let id = 1;
      const pump = () => {
        while (!socket.destroyed) {
          const pairs = some(500).flatMap(() => {
            const stream = id;
            id += 2;
            return [frame(1, 4, stream, block), frame(3, 0, stream, Buffer.from('00000008', 'hex'))];
          });
          if (!socket.write(Buffer.concat(pairs))) return void socket.once('drain', pump);
        }
      };
      pump();
    });
    socket.resume();
    await closed(socket);
    await until(() => of.refusals.length > 0, 'it was logged');
    expect(of.load.streams).toBeLessThanOrEqual(2 * LIMITS.streamsPerConnectionMax);
    for (const { code } of of.refusals) expect(['WIRE_PROTOCOL_BROKEN', 'WIRE_SIZE_EXCEEDED']).toContain(code);
    await of.stillServes();
  });

  it('headers without measure are refused', async () => {
    const of = await Besieged.start();
    world = of;
    const many = of.http2();
    const pairs = Object.fromEntries(some(400).map((index) => [`x-${index}`, 'y'.repeat(300)]));
    const { stream } = call(many, HEALTH, framed(new Uint8Array()), pairs);
    await closed(stream);
    many.destroy();
    // CONTINUATION frames without an end: the block is never complete.
    const socket = of.tls({ from: '127.0.6.1' });
    socket.on('secureConnect', () => {
      socket.write(Buffer.concat([PREFACE, frame(4, 0, 0), frame(1, 0, 1, Buffer.from('838784', 'hex'))]));
      const pump = () => {
        while (!socket.destroyed)
          if (!socket.write(frame(9, 0, 1, Buffer.alloc(16_000, 0x82)))) return void socket.once('drain', pump);
      };
      pump();
    });
    socket.resume();
    await closed(socket);
    await until(() => of.refusals.some(({ address }) => address === '127.0.6.1'), 'it was logged');
    await of.stillServes();
    await until(() => of.load.strangers === 0, 'no stranger is left');
  });

  it('100 seeded connections of damaged bytes inside TLS: nobody falls, every one is let go', async () => {
    const of = await Besieged.start({ strangerLifetimeMs: 1500 });
    world = of;
    const good = Buffer.concat([
      PREFACE,
      frame(4, 0, 0),
      frame(1, 4, 1, Buffer.from('838784', 'hex')),
      frame(0, 1, 1, framed(Buffer.from('0a05616c646572', 'hex'))),
    ]);
    for (let wave = 0; wave < 5; wave++) {
      const sockets = some(20).map((index) => {
        const random = seededRandom('stranger fuzz', 20 * wave + index);
        const bytes = Buffer.from(good);
        // Past the preface: a damaged one would only be refused as such.
        for (let hit = 0; hit <= random.integer(6); hit++)
          bytes[PREFACE.length + random.integer(bytes.length - PREFACE.length)] = random.integer(256);
        const cut =
          random.integer(4) === 0 ? PREFACE.length + random.integer(bytes.length - PREFACE.length) : undefined;
        const socket = of.tls({ from: `127.0.7.${1 + wave}` });
        socket.on('secureConnect', () => socket.end(bytes.subarray(0, cut)));
        socket.resume();
        return socket;
      });
      await Promise.all(sockets.map(closed));
    }
    await of.stillServes();
    await until(() => of.load.strangers === 0 && of.load.streams <= 1, `all are gone: ${JSON.stringify(of.load)}`);
  });

  it('the memory of refusals is bounded, however many addresses come', async () => {
    const of = await Besieged.start({ refusalsRemembered: 8 });
    world = of;
    for (const index of some(24)) {
      const socket = of.tcp(`127.0.8.${index + 1}`);
      socket.on('connect', () => socket.write('hello\r\n\r\n'));
      await closed(socket);
    }
    expect(of.load.remembered).toBe(8);
    await tidy(of, 'WIRE_TLS_MISSING');
  });
});

it('every limit of the door has its sentence', () => {
  const source = readFileSync('shared/limits.ts', 'utf8');
  for (const name of ['strangersMax', 'strangersPerNetworkMax', 'strangerBytesMax', 'connectionsPerSiteMax'])
    expect(source).toMatch(new RegExp(`\\*/\\n  ${name}:`));
  expect(STRANGER_ADDRESS).not.toBe('127.0.0.1');
});
