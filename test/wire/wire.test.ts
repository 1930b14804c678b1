import type grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../shared/canonical-json.js';
import { ConcordatError } from '../../shared/errors.js';
import { COORDINATOR_FRAMES, SITE_FRAMES } from '../../shared/wire/codecs.js';
import { decodeCoordinatorFrame, decodeSiteFrame } from '../../shared/wire/decode.js';
import { encodeCoordinatorFrame, encodeSiteFrame } from '../../shared/wire/encode.js';
import { LOADER_OPTIONS, PROTO_FILES } from '../../shared/wire/loader-options.js';
import { errorOfStatus, isTransient, statusOf } from '../../shared/wire/status.js';
import { COORDINATOR_SAMPLES, SITE_SAMPLES } from './samples.js';

/** Through real protobuf bytes, as gRPC would send them. */
const loaded = loadSync([...PROTO_FILES], { ...LOADER_OPTIONS, includeDirs: ['protos'] });
const connect = (loaded['concordat.v1.Federation'] as grpc.ServiceDefinition)['Connect']!;
const siteOverWire = (wire: object): unknown => connect.requestDeserialize(connect.requestSerialize(wire));
const coordinatorOverWire = (wire: object): unknown => connect.responseDeserialize(connect.responseSerialize(wire));
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return error instanceof ConcordatError ? error.code : String(error);
  }
  return 'none';
};

describe('messages', () => {
  it('have a sample of every kind', () => {
    expect(new Set(SITE_SAMPLES.map(({ type }) => type))).toEqual(new Set(Object.keys(SITE_FRAMES)));
    expect(new Set(COORDINATOR_SAMPLES.map(({ type }) => type))).toEqual(new Set(Object.keys(COORDINATOR_FRAMES)));
  });

  it.each(SITE_SAMPLES)('$type comes through the wire as it was', (frame) => {
    expect(decodeSiteFrame(siteOverWire(encodeSiteFrame(frame)))).toEqual(frame);
  });

  it.each(COORDINATOR_SAMPLES)('$type comes through the wire as it was', (frame) => {
    expect(decodeCoordinatorFrame(coordinatorOverWire(encodeCoordinatorFrame(frame)))).toEqual(frame);
  });
});

/** Fields whose absence means something (null), and lists, which protobuf cannot tell from absent. */
const MAY_BE_ABSENT = new Set([
  'siteReady.context',
  'maskedInput.nextPreKey',
  'siteRefusal.context',
  'transcriptRequest.context',
  'transcriptProof.context',
  'transcriptProof.index',
]);

/** Every field of every message, nested ones too, as a path from the envelope. */
function fieldsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...fieldsOf(inner, [...path, key])]);
}

function without(value: object, path: readonly string[]): object {
  const copy = structuredCloneOf(value);
  let at = copy as Record<string, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
  delete at[path.at(-1)!];
  return copy;
}

function structuredCloneOf<T>(value: T): T {
  if (value instanceof Uint8Array) return Buffer.from(value) as T;
  if (Array.isArray(value)) return value.map(structuredCloneOf) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, structuredCloneOf(inner)])) as T;
}

describe('a missing field is an error, never a zero', () => {
  const cases = [
    ...SITE_SAMPLES.map((frame) => ({ wire: encodeSiteFrame(frame), over: siteOverWire, decode: decodeSiteFrame })),
    ...COORDINATOR_SAMPLES.map((frame) => ({
      wire: encodeCoordinatorFrame(frame),
      over: coordinatorOverWire,
      decode: decodeCoordinatorFrame,
    })),
  ];
  it('in every message, at every depth', () => {
    let checked = 0;
    for (const { wire, over, decode } of cases) {
      for (const path of fieldsOf(wire)) {
        const last = path.at(-1)!;
        const parentIsList = /^\d+$/.test(last);
        if (path.length < 2 || parentIsList || MAY_BE_ABSENT.has(path.join('.'))) continue;
        const cut = without(wire, path);
        let whole: unknown = wire;
        for (const key of path) whole = (whole as Record<string, unknown>)[key];
        if (Array.isArray(whole)) continue;
        expect(
          codeOf(() => decode(over(cut))),
          path.join('.'),
        ).toBe('WIRE_FIELD_MISSING');
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(150);
  });
});

describe('what cannot be is refused', () => {
  const proposal = encodeCoordinatorFrame(COORDINATOR_SAMPLES.find(({ type }) => type === 'survivorsProposal')!) as {
    survivorsProposal: Record<string, unknown>;
  };
  const changed = (change: Record<string, unknown>) => () =>
    decodeCoordinatorFrame(coordinatorOverWire({ survivorsProposal: { ...proposal.survivorsProposal, ...change } }));

  it('a hash of another length, a bad name, sites twice or out of order', () => {
    expect(codeOf(changed({}))).toBe('none');
    for (const change of [
      { context: Buffer.alloc(31) },
      { context: Buffer.alloc(33) },
      { survivors: ['alder', 'alder'] },
      { survivors: ['cedar', 'alder'] },
      { survivors: ['../alder'] },
      { survivors: [''] },
      { survivors: Array.from({ length: 200 }, (_, i) => `s${String(i).padStart(3, '0')}`) },
    ])
      expect(codeOf(changed(change)), JSON.stringify(change).slice(0, 60)).toBe('WIRE_FIELD_INVALID');
  });

  it('an unspecified or unknown value of an enumeration', () => {
    const closed = (outcome: number) => () =>
      decodeCoordinatorFrame(
        coordinatorOverWire({ attemptClosed: { studyHash: Buffer.alloc(32), context: Buffer.alloc(32), outcome } }),
      );
    expect(codeOf(closed(1))).toBe('none');
    for (const outcome of [0, 3, 99]) expect(codeOf(closed(outcome)), String(outcome)).toBe('WIRE_FIELD_INVALID');
  });

  it('a number beyond 2^53, an unknown error code, control characters', () => {
    expect(codeOf(() => decodeSiteFrame(siteOverWire({ heartbeat: { sequence: '9007199254740992' } })))).toBe(
      'WIRE_FIELD_INVALID',
    );
    const refusal = (code: string) =>
      siteOverWire({ siteRefusal: { studyHash: Buffer.alloc(32), exchange: 'EXCHANGE_UNMASK', code, about: [] } });
    expect(codeOf(() => decodeSiteFrame(refusal('SECAGG_SECRETS_LOST')))).toBe('none');
    expect(codeOf(() => decodeSiteFrame(refusal('SECAGG_NO_SUCH_CODE')))).toBe('WIRE_FIELD_INVALID');
    expect(codeOf(() => decodeSiteFrame(refusal('toString')))).toBe('WIRE_FIELD_INVALID');
    const hello = { site: 'alder', protocolVersion: 1, oldestProtocolVersion: 1, programVersion: 'a\u001b[2J' };
    expect(codeOf(() => decodeSiteFrame(siteOverWire({ hello })))).toBe('WIRE_FIELD_INVALID');
  });

  it('an envelope that is empty or holds a message of a newer version', () => {
    expect(codeOf(() => decodeSiteFrame(siteOverWire({})))).toBe('WIRE_MESSAGE_UNKNOWN');
    // Field 99, length-delimited, empty: what a newer program might send.
    const newer: unknown = connect.requestDeserialize(Buffer.from([0x9a, 0x06, 0x00]));
    expect(codeOf(() => decodeSiteFrame(newer))).toBe('WIRE_MESSAGE_UNKNOWN');
    expect(codeOf(() => decodeSiteFrame(undefined))).toBe('WIRE_MESSAGE_UNKNOWN');
  });
});

describe('errors on the wire', () => {
  it('carry code and message, and neither problems nor unforeseen details', () => {
    const status = statusOf(
      new ConcordatError('SITE_REVOKED', 'site "x" was revoked', { problems: [{ message: 'row 3' }] }),
    );
    expect(status).toEqual({ code: 7, details: 'site "x" was revoked', concordatCode: 'SITE_REVOKED' });
    for (const unforeseen of [new Error('patient 17'), new ConcordatError('INTERNAL_BUG', 'patient 17')])
      expect(JSON.stringify(statusOf(unforeseen))).not.toContain('17');
  });
  it('come back as the same error, or as one of the network', () => {
    expect(errorOfStatus(7, 'm', 'SITE_REVOKED').code).toBe('SITE_REVOKED');
    expect(errorOfStatus(14, 'x', undefined).code).toBe('WIRE_UNREACHABLE');
    expect(errorOfStatus(14, 'self-signed certificate', undefined).code).toBe('WIRE_UNTRUSTED_SERVER');
    expect(errorOfStatus(8, 'too large', undefined).code).toBe('WIRE_SIZE_EXCEEDED');
    expect(errorOfStatus(1, 'x', undefined).code).toBe('WIRE_DISCONNECTED');
    expect(errorOfStatus(7, 'x', 'NEWER_CODE').code).toBe('WIRE_REFUSED');
    expect(isTransient(errorOfStatus(14, 'x', undefined))).toBe(true);
    expect(isTransient(errorOfStatus(7, 'm', 'SITE_REVOKED'))).toBe(false);
  });
});

describe('canonical JSON', () => {
  it('is that of RFC 8785', () => {
    // Section 3.2.2 and 3.2.3: the example of the RFC.
    const example = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\u0022/",
      literals: [null, true, false],
    };
    expect(canonicalJson(example)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    const sorted = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
    expect(canonicalJson(sorted)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
    expect(canonicalJson([-0, 1e21, 5e-324])).toBe('[0,1e+21,5e-324]');
  });
  it('refuses what JSON cannot carry', () => {
    for (const value of [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      '\ud800',
      { a: '\udc00' },
      1n,
      undefined,
      new Map(),
      new Uint8Array(2),
    ])
      expect(codeOf(() => canonicalJson(value))).toBe('WIRE_NOT_CANONICAL');
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  });
});
