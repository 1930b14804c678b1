import { describe, expect, it } from 'vitest';
import { decodeDocument, documentHash, encodeDocument } from '../../shared/document.js';
import { planStudy } from '../../shared/plan.js';
import { studyHash } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { readStudyDocument, studyDocument } from '../../shared/study-signatures.js';
import { SITE_COMPUTATIONS } from '../../site-agent/computations.js';
import { leavesOf } from '../../site-agent/site-run.site.js';
import { simulateCohort } from '../support/simulated-cohort.js';

const study = parseStudy(simulateCohort(1).studyYaml.replace('"original_*"', 'f1, f2'), 'study.yaml');

describe('documents', () => {
  const value = {
    b: [1, -0, 0.1 + 0.2, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324],
    a: { text: 'ü', none: null, yes: true, array: new Float64Array([1.5, Number.NaN, -0]) },
    bytes: new Uint8Array([1, 2, 3]),
    counts: new Int32Array([-1, 7]),
  };

  it('arrive bit for bit, and have one encoding whatever the order of keys', () => {
    const bytes = encodeDocument(value);
    const back = decodeDocument(bytes) as typeof value;
    expect(back).toEqual({ ...value, b: [1, 0, 0.1 + 0.2, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324] });
    expect(Object.is(back.a.array[2], -0)).toBe(true);
    const reordered = { counts: value.counts, bytes: value.bytes, a: value.a, b: value.b };
    expect(documentHash(encodeDocument(reordered))).toBe(documentHash(bytes));
  });

  it('with odd keys have the bytes that the first version wrote', () => {
    const odd = {
      10: new Uint8Array([1]),
      9: new Float64Array([2.5]),
      b: ['x', undefined, () => 1],
      a: { u: undefined },
    };
    Object.defineProperty(odd.a, '__proto__', { value: 1, enumerable: true });
    Object.defineProperty(odd, '__proto__', { value: new Int32Array([7]), enumerable: true });
    const bytes = encodeDocument(odd);
    expect(documentHash(bytes)).toBe('e25a848064fcfb277b8aedd0e534f7c3c3dbfbe7b4872d84e26bc6f0b1774b52');
    const back = decodeDocument(bytes) as Record<string, unknown>;
    expect(Object.keys(back)).toEqual(['9', '10', '__proto__', 'a', 'b']);
    expect(Object.getOwnPropertyDescriptor(back, '__proto__')!.value).toEqual(new Int32Array([7]));
  });

  it('give arrays that share nothing with the bytes they came in, nor with each other', () => {
    const bytes = encodeDocument({ a: new Uint8Array([1, 2]), b: new Uint8Array([3]) });
    const back = decodeDocument(bytes) as { a: Uint8Array; b: Uint8Array };
    bytes.fill(0);
    back.a.fill(9);
    expect([back.a, back.b]).toEqual([new Uint8Array([9, 9]), new Uint8Array([3])]);
  });

  it('are read from any place in a buffer', () => {
    const bytes = encodeDocument(value);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(decodeDocument(shifted.subarray(3))).toEqual(decodeDocument(bytes));
  });

  it('that are damaged are refused', () => {
    const bytes = encodeDocument(value);
    const change = (edit: (copy: Uint8Array) => Uint8Array) => () => decodeDocument(edit(Uint8Array.from(bytes)));
    const invalid = expect.objectContaining({ code: 'WIRE_DOCUMENT_INVALID' });
    expect(change(() => new Uint8Array(0))).toThrow(invalid);
    expect(change((copy) => copy.fill(0, 0, 1))).toThrow(invalid);
    expect(change((copy) => copy.fill(255, 5, 9))).toThrow(invalid);
    expect(change((copy) => copy.fill(0, 9, 10))).toThrow(invalid);
    expect(change((copy) => copy.subarray(0, copy.length - 40))).toThrow(invalid);
  });
});

describe('a study document on the wire', () => {
  const bytes = studyDocument(study);
  const hash = studyHash(study);

  it('is the study of its hash', () => {
    expect(readStudyDocument(bytes, hash)).toEqual(study);
  });

  it('is refused with another hash, another form, or contradictions that no parser would have let through', () => {
    const mismatch = expect.objectContaining({ code: 'STUDY_HASH_MISMATCH' });
    expect(() => readStudyDocument(bytes, '0'.repeat(64))).toThrow(mismatch);
    expect(() => readStudyDocument(Buffer.from('{'), hash)).toThrow(mismatch);
    expect(() => readStudyDocument(Buffer.from('{"concordat":1}'), hash)).toThrow(mismatch);
    const crooked = { ...study, sites: { training: ['alder', 'alder', 'birch', 'elm'], external: ['elm'] } };
    expect(() => readStudyDocument(studyDocument(crooked), studyHash(crooked))).toThrow(mismatch);
  });

  it('names all that can be computed: a task for anything else is refused', () => {
    const plan = planStudy(study);
    expect(() => leavesOf(plan, SITE_COMPUTATIONS, { instance: 'exfiltrate', iteration: 1, broadcast: {} })).toThrow(
      expect.objectContaining({ code: 'POLICY_UNKNOWN_COMPUTATION' }),
    );
  });
});
