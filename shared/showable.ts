/**
 * Characters that a terminal or an editor obeys instead of showing: control characters, other ends of line, and marks that turn
 * the direction of writing. In a study they could paint over what a hospital is asked to approve.
 */
const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/u;
const OBEYED_IN_TEXT = new RegExp(`(?![\\n\\t])${OBEYED.source}`, 'gu');

export function isShowable(name: string): boolean {
  return !OBEYED.test(name);
}

/** Text of several lines with a mark in the place of each character that would be obeyed. */
export function showable(text: string): string {
  return text.replace(OBEYED_IN_TEXT, '\uFFFD');
}

/** Where, in plain data, a text or the name of a field is not showable. */
export function unshowable(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value === 'string') return isShowable(value) ? [] : [path];
  if (Array.isArray(value)) return value.flatMap((item, index) => unshowable(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    isShowable(key) ? unshowable(item, [...path, key]) : [[...path, key]],
  );
}
