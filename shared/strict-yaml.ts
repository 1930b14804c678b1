import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { didYouMean } from './did-you-mean.js';
import type { Problem } from './errors.js';

/** Larger documents are refused unread; a study or a policy is a few kilobytes. */
export const YAML_BYTES_MAX = 1_000_000;

type Path = readonly (string | number)[];

/** What reading a document gave: the checked value, or everything that is wrong with it. */
export type YamlReading<T> =
  | { readonly kind: 'ok'; readonly value: T; readonly problemAt: (path: Path, message: string) => Problem }
  | { readonly kind: 'unreadable'; readonly problems: readonly Problem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/**
 * Reads a YAML document against a schema and reports every problem at once, each with its row and character column:
 * syntax errors, duplicate and unknown fields (with the nearest known one), wrong types, values out of range.
 *
 * @param prepare may change the document before its values are taken, where a value alone does not say how it was written
 */
export function readYaml<S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
  prepare: (document: Document) => void = () => undefined,
): YamlReading<z.output<S>> {
  if (Buffer.byteLength(text) > YAML_BYTES_MAX)
    return { kind: 'unreadable', problems: [{ file, message: `the file is larger than ${YAML_BYTES_MAX} bytes` }] };
  const lines = new LineCounter();
  const document = parseDocument(text.replace(/^\uFEFF/, ''), { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { file, row: line, column: String(col), message: `not valid YAML: ${lowerFirst(error.message)}` };
    });
    return { kind: 'unreadable', problems };
  }
  prepare(document);
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 20 });
  } catch {
    return { kind: 'unreadable', problems: [{ file, message: 'not valid YAML: too many or broken aliases' }] };
  }
  if (raw === null || raw === undefined || typeof raw !== 'object' || Array.isArray(raw))
    return { kind: 'unreadable', problems: [{ file, row: 1, message: 'the file must hold fields ("name: value")' }] };

  const problemAt = (path: Path, message: string): Problem => {
    const offset = offsetOf(document, path);
    if (offset === null) return { file, message };
    const { line, col } = lines.linePos(offset);
    return { file, row: line, column: String(col), message };
  };
  const checked = schema.safeParse(raw);
  if (checked.success) return { kind: 'ok', value: checked.data, problemAt };
  const known = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const problems = checked.error.issues.flatMap((issue) => describeIssue(issue as Issue, raw, known, problemAt));
  return { kind: 'invalid', problems: sortProblems(problems) };
}

/** The parts of zod's issues that are used here; zod's own union type is wider than it is helpful. */
interface Issue {
  readonly code: string;
  readonly path: Path;
  readonly message: string;
  readonly keys?: readonly string[];
  readonly expected?: string;
  readonly values?: readonly unknown[];
  readonly options?: readonly unknown[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly inclusive?: boolean;
  readonly origin?: string;
}

export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly pattern?: string;
}

function describeIssue(
  issue: Issue,
  raw: unknown,
  schema: JsonSchema,
  problemAt: (path: Path, message: string) => Problem,
): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schemaAt(schema, raw, issue.path)?.properties ?? {});
    return (issue.keys ?? []).map((key) => {
      const where = issue.path.length === 0 ? '' : ` in ${pathText(issue.path)}`;
      return problemAt([...issue.path, key], `unknown field "${key}"${where}${didYouMean(key, known)}`);
    });
  }
  const value = valueAt(raw, issue.path);
  const subject = pathText(issue.path);
  if (value === undefined) return [problemAt(issue.path.slice(0, -1), `${subject} is missing`)];
  return [problemAt(issue.path, `${subject} ${demand(issue, value)}`)];
}

/** "must be ...", from one issue. */
function demand(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPE_WORDS[issue.expected ?? ''] ?? issue.expected}, not ${typeWord(value)}`;
    case 'invalid_value':
      return `must be ${oneOf(issue.values ?? [])}${suggestion(value, issue.values ?? [])}`;
    case 'too_small':
    case 'too_big': {
      const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum;
      if (issue.origin === 'array')
        return `must have at ${issue.code === 'too_small' ? 'least' : 'most'} ${limit} entries`;
      if (issue.origin === 'string')
        return `must have at ${issue.code === 'too_small' ? 'least' : 'most'} ${limit} characters`;
      if (issue.code === 'too_small') return `must be ${issue.inclusive ? 'at least' : 'above'} ${limit}`;
      return `must be ${issue.inclusive ? 'at most' : 'below'} ${limit}`;
    }
    case 'invalid_union': {
      if (issue.options !== undefined) return `must be ${oneOf(issue.options)}${suggestion(value, issue.options)}`;
      const alternatives = (issue.errors ?? []).map((inner) => (inner[0] === undefined ? '' : demand(inner[0], value)));
      return alternatives
        .filter((text) => text !== '')
        .map((text, index) => (index === 0 ? text : text.replace(/^must be /, '')).replace(/, not .*$/, ''))
        .join(' or ');
    }
    default:
      return `is not accepted: ${lowerFirst(issue.message)}`;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of fields',
  record: 'a group of fields',
};

function typeWord(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number';
  return TYPE_WORDS[typeof value] ?? typeof value;
}

function oneOf(values: readonly unknown[]): string {
  const texts = values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value)));
  return texts.length === 1 ? texts[0]! : `one of ${texts.join(', ')}`;
}

function suggestion(value: unknown, values: readonly unknown[]): string {
  return typeof value === 'string' ? didYouMean(value, values.map(String)) : '';
}

export function pathText(path: Path): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part + 1}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}

function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[part] : undefined,
    raw,
  );
}

/** The schema of the value at `path`; among alternatives the one whose `type` constant the data names. */
function schemaAt(schema: JsonSchema, raw: unknown, path: Path): JsonSchema | undefined {
  let found: JsonSchema | undefined = choose(schema, raw);
  let value = raw;
  for (const part of path) {
    value = valueAt(value, [part]);
    const next: JsonSchema | undefined =
      typeof part === 'number' ? found?.items : (found?.properties?.[part] ?? additional(found));
    found = next === undefined ? undefined : choose(next, value);
  }
  return found;
}

function additional(schema: JsonSchema | undefined): JsonSchema | undefined {
  return typeof schema?.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}

function choose(schema: JsonSchema, value: unknown): JsonSchema {
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives === undefined) return schema;
  const filled = alternatives.filter((option) => option.type !== 'null');
  if (filled.length === 1) return filled[0]!;
  const type = valueAt(value, ['type']);
  return alternatives.find((option) => option.properties?.['type']?.const === type) ?? schema;
}

/** Start of the key or list item at `path`; of the nearest enclosing one where it does not exist. */
function offsetOf(document: Document, path: Path): number | null {
  let node: unknown = document.contents;
  let offset: number | null = isNode(node) ? (node.range?.[0] ?? null) : null;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else {
      const child: unknown = isNode(node) && 'items' in node ? (node.items as unknown[])[Number(part)] : undefined;
      if (!isNode(child)) return offset;
      offset = child.range?.[0] ?? offset;
      node = child;
    }
  }
  return offset;
}

export function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(
    (a, b) =>
      (a.row ?? 0) - (b.row ?? 0) || Number(a.column ?? 0) - Number(b.column ?? 0) || (a.message < b.message ? -1 : 1),
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
