import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fieldRows, staleDocs } from '../../scripts/gen-docs.js';
import { studySchema } from '../../shared/study.js';
import { parseStudy } from '../../shared/study-parse.js';

describe('generated documentation', () => {
  it('is fresh (otherwise: npm run gen)', () => {
    expect(staleDocs()).toEqual([]);
  });

  it('describes fields of every level', () => {
    const fields = fieldRows(studySchema).map(({ field }) => field);
    for (const field of ['quorum', 'privacy.minSites', 'cohort.endpoint(survival).horizon', 'model(mlp).hidden'])
      expect(fields).toContain(field);
    expect(new Set(fields).size).toBe(fields.length);
  });

  it('has an example that parses', () => {
    const doc = readFileSync('docs/study.md', 'utf8');
    const example = /## study\.yaml\n\n```yaml\n([\s\S]*?)```/.exec(doc)![1]!;
    expect(parseStudy(example, 'example').name).toBe('hcc-mvi');
  });
});
