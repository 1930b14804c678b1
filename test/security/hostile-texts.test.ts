import { afterEach, describe, expect, it, vi } from 'vitest';
import { output, reportError } from '../../cli/console.js';
import { ConcordatError } from '../../shared/errors.js';
import { isShowable, showable } from '../../shared/showable.js';
import { studyHash } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';
import { readStudyDocument, studyDocument } from '../../shared/study-signatures.js';
import { parseCohortConfig } from '../../site-agent/cohort-config.js';
import { parsePolicy } from '../../site-agent/policy.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { smallStudy } from '../e2e/support.js';

/**
 * Texts that come from others and are read or shown at a hospital: a study that would repaint the picture of what is approved, and
 * small files that unfold into large ones.
 */
afterEach(() => vi.restoreAllMocks());

const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'ok';
  } catch (error) {
    return error instanceof ConcordatError ? error.code : String(error);
  }
};

/** Erase the line above and write another; a line of one's own; letters that run the other way. */
const PAINT = [
  '\u001b[1A\u001b[2KMasked: yes',
  'title\n  Masked: the coordinator reads nothing',
  'nothing \u202egnihton',
  'a\u2028b',
  '\u009b2J',
];

describe('a study whose text a terminal would obey', () => {
  const study = smallStudy('painted');
  const { cohort } = study;
  const painted = (text: string) => [
    { ...study, title: text },
    { ...study, cohort: { ...cohort, features: [...cohort.features, text] } },
    { ...study, cohort: { ...cohort, covariates: [{ column: 'age', unit: text }] } },
    { ...study, cohort: { ...cohort, covariates: [{ column: 'sex', levels: ['F', text] }] } },
    { ...study, cohort: { ...cohort, endpoint: { type: 'binary' as const, column: text } } },
  ];

  it.each(PAINT)('is refused wherever it stands: %j', (text) => {
    for (const changed of painted(text))
      expect(codeOf(() => readStudyDocument(studyDocument(changed), studyHash(changed)))).toBe('STUDY_HASH_MISMATCH');
    expect(codeOf(() => parseStudy(JSON.stringify({ ...study, title: text }), 'study.yaml'))).toBe('STUDY_INVALID');
  });

  it('and other languages are not', () => {
    for (const title of ['Lebertumoren: Größe', '肝細胞癌の微小血管浸潤', 'سرطان الكبد', 'β-catenin, 5 µm 👩‍⚕️']) {
      const read = parseStudy(JSON.stringify({ ...study, title }), 'study.yaml');
      expect(read.title).toBe(title);
    }
  });
});

describe('what a command prints', () => {
  it('obeys nothing that somebody else wrote: reasons, names, messages of errors', () => {
    const written: string[] = [];
    for (const stream of [process.stdout, process.stderr])
      vi.spyOn(stream, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    const text = PAINT.join(' ');
    output(false).result(text, {});
    output(false).progress(text);
    reportError(new ConcordatError('STUDY_INVALID', text, { problems: [{ message: text }] }), false);
    output(true).result('', { reason: text });
    vi.restoreAllMocks();
    expect(written).toHaveLength(4);
    for (const line of written.slice(0, 3)) {
      expect(line.split('\n').every(isShowable)).toBe(true);
      expect(line).toContain('\uFFFD[2KMasked: yes');
    }
    expect(JSON.parse(written[3]!)).toEqual({ reason: text });
    expect(written[3]).not.toContain('\u001b');
    expect(showable('a\tb\nc')).toBe('a\tb\nc');
  });
});

describe('small files that unfold into large ones', () => {
  const aliases = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij'].map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[at]}`).join(',')}]`).join('\n')}\n`;
  const deep = `a: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`;
  const merged = `a: &a {k: v}\n${Array.from({ length: 40 }, (_, at) => `m${at}: {<<: *a}`).join('\n')}\n`;
  const readers = {
    study: (text: string) => parseStudy(text, 'study.yaml'),
    cohort: (text: string) => parseCohortConfig(text, 'cohort.yaml'),
    policy: (text: string) => parsePolicy(text, 'policy.yaml'),
    settings: (text: string) => parseSettings(text, 'params.yaml'),
  };

  it.each(Object.entries(readers))('are refused as a %s, by a named error', (_, read) => {
    for (const text of [aliases, deep, merged, `name: ${'x'.repeat(2_000_000)}\n`])
      expect(codeOf(() => read(text))).toMatch(/^(STUDY|COHORT|POLICY|IMAGE|CLI)_[A-Z_]+$/);
  });

  it('names are as long as a line, not as a file', () => {
    const study = smallStudy('long');
    const long = 'x'.repeat(500);
    const { cohort } = study;
    for (const covariates of [
      [{ column: long }],
      [{ column: 'age', unit: long }],
      [{ column: 'sex', levels: ['F', long] }],
    ])
      expect(
        codeOf(() => parseStudy(JSON.stringify({ ...study, cohort: { ...cohort, covariates } }), 'study.yaml')),
      ).toBe('STUDY_INVALID');
  });
});
