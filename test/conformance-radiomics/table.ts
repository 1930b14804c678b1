import type { Row } from '../conformance/sheet.js';

interface Summary {
  values: number;
  within: number;
  rows: number;
  unsupported: number;
  worst: Map<string, number>;
}

/** One line for each part of the references: values compared, how many rows are within tolerance, the worst error. */
export function markdownTable(rows: readonly Row[]): string {
  const parts = new Map<string, Summary>();
  for (const row of rows) {
    const one = parts.get(row.group) ?? { values: 0, within: 0, rows: 0, unsupported: 0, worst: new Map() };
    parts.set(row.group, one);
    if (row.status === 'unsupported') {
      one.unsupported++;
      continue;
    }
    one.rows++;
    one.values += row.values;
    if (row.status === 'pass') one.within += row.values;
    if (row.worst !== null) one.worst.set(row.unit, Math.max(one.worst.get(row.unit) ?? 0, row.worst));
  }
  const lines = [
    '| reference | values compared | in rows within tolerance | worst error | not compared |',
    '| --- | ---: | ---: | --- | ---: |',
  ];
  for (const [name, one] of parts) {
    const worst = [...one.worst].map(([unit, value]) => `${shown(value)} ${unit}`.trim()).join(', ');
    lines.push(`| ${name} | ${one.values} | ${one.within} | ${worst} | ${one.unsupported} |`);
  }
  return lines.join('\n');
}

function shown(value: number): string {
  if (value === 0) return '0';
  return Number.isFinite(value) ? value.toExponential(1) : 'not finite';
}
