import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { codeOf } from './kit.js';
import { fromJson, makeVectors, OPERATIONS, toJson, type Vector } from './vectors.js';

const FOLDER = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'vectors', 'secagg');

function run(vector: Vector): { code: string; output: unknown } {
  const operation = OPERATIONS[vector.operation] as (input: unknown) => unknown;
  let output: unknown;
  const code = codeOf(() => {
    output = operation(fromJson(vector.input));
  });
  return { code, output };
}

if (process.env['UPDATE'] === '1') {
  mkdirSync(FOLDER, { recursive: true });
  for (const [name, vectors] of Object.entries(makeVectors())) {
    const filled = vectors.map((vector) => {
      const input = toJson(vector.input);
      const { output } = run({ ...vector, input });
      return output === undefined ? { ...vector, input } : { ...vector, input, output: toJson(output) };
    });
    writeFileSync(join(FOLDER, `${name}.json`), `${JSON.stringify(filled, null, 1)}\n`);
  }
}

describe('vectors', () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) {
    const vectors = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Vector[];
    for (const vector of vectors)
      it(`${file}: ${vector.operation}, ${vector.name}: ${vector.expect}`, () => {
        const { code, output } = run(vector);
        expect(code).toBe(vector.expect);
        if (code === 'ok') expect(toJson(output)).toEqual(vector.output);
      });
    it(`${file} has good and bad vectors`, () => {
      expect(vectors.some((vector) => vector.expect === 'ok')).toBe(true);
      expect(vectors.some((vector) => vector.expect !== 'ok')).toBe(true);
    });
  }

  it('are what the generator makes', () => {
    for (const [name, vectors] of Object.entries(makeVectors())) {
      const stored = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Vector[];
      expect(stored.map(({ output: _, ...rest }) => rest)).toEqual(
        JSON.parse(JSON.stringify(vectors.map((vector) => ({ ...vector, input: toJson(vector.input) })))),
      );
    }
  });
});
