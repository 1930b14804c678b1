export type CsvCell = string | number | null;

/** CSV text (RFC 4180, `\n` between lines and at the end): null is an empty cell, and text is quoted where it must be. */
export function csvText(lines: readonly (readonly CsvCell[])[]): string {
  return `${lines.map((line) => line.map(cell).join(',')).join('\n')}\n`;
}

function cell(value: CsvCell): string {
  const text = value === null ? '' : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A number that a definition does not give, or that is not finite, is an empty cell. */
export const numberCell = (value: number | null | undefined): CsvCell =>
  value === null || value === undefined || !Number.isFinite(value) ? null : value;
