import { type Document, isScalar, isSeq } from 'yaml';

/**
 * PyRadiomics names a LoG image by how its sigma was written: `1` gives log-sigma-1-mm-3D and `1.0` log-sigma-1-0-mm-3D. A number alone does not tell the two apart, so a study keeps
 * a whole sigma that was written with a point as the text `1.0`, in its document and under its hash.
 */
const WHOLE_WITH_POINT = /^\+?\d+\.0*$/;

/** Changes sigmas of `imaging.settings` of a study's document that are whole and were written with a point. */
export function keepSigmaTexts(document: Document): void {
  const settings = ['imaging', 'settings'];
  const types: unknown = document.getIn([...settings, 'imageType']);
  const names = typeof types === 'object' && types !== null && 'items' in types ? keysOf(types.items) : [];
  for (const at of [['setting'], ...names.map((name) => ['imageType', name])]) {
    const sigmas: unknown = document.getIn([...settings, ...at, 'sigma']);
    if (!isSeq(sigmas)) continue;
    for (const item of sigmas.items)
      if (isScalar(item) && typeof item.value === 'number' && WHOLE_WITH_POINT.test(item.source ?? ''))
        item.value = `${item.value}.0`;
  }
}

const keysOf = (items: unknown): string[] =>
  (items as { readonly key?: unknown }[]).map(({ key }) => (isScalar(key) ? String(key.value) : ''));

/** The settings as a parameter file's text, with such sigmas as the numbers that they are. */
export function settingsText(settings: Readonly<Record<string, unknown>>): string {
  const marked = JSON.stringify(settings, (key, value: unknown) =>
    key === 'sigma' && Array.isArray(value)
      ? value.map((one: unknown) => (typeof one === 'string' && WHOLE_WITH_POINT.test(one) ? `${MARK}${one}` : one))
      : value,
  );
  return marked.replaceAll(new RegExp(`"${MARK}([0-9.+]+)"`, 'g'), '$1');
}

const MARK = 'whole sigma written with a point: ';
