/**
 * Units of the laboratory values that clinical scores take, and their conversion. The factors follow from molar masses (bilirubin 584.66,
 * creatinine 113.12 g/mol); cells per litre and per microlitre differ by a power of ten.
 */
export const UNITS = {
  bilirubin: { 'µmol/L': 1, 'mg/dL': 17.104 },
  creatinine: { 'µmol/L': 1, 'mg/dL': 88.4 },
  albumin: { 'g/L': 1, 'g/dL': 10 },
  /** Platelets, neutrophils, lymphocytes: per 10^9/L. */
  cells: { '10^9/L': 1, '10^3/µL': 1, '/µL': 0.001 },
  enzyme: { 'U/L': 1, 'µkat/L': 60 },
  sodium: { 'mmol/L': 1, 'mEq/L': 1 },
  ratio: { '1': 1 },
  age: { years: 1, months: 1 / 12 },
  length: { cm: 1, mm: 0.1 },
} as const satisfies Record<string, Record<string, number>>;

export type Quantity = keyof typeof UNITS;

/** `u` and `mc` for the micro sign, any case of the letters, as laboratories print them. */
const plain = (unit: string): string =>
  unit.replaceAll(/[µμ]/g, 'u').replaceAll(/\s/g, '').replaceAll('mcmol', 'umol').toLowerCase();

/**
 * The factor that turns a value in `unit` into the quantity's first unit (µmol/L, g/L, 10^9/L, U/L, mmol/L, years, cm), or null where
 * the unit is not one of the quantity's.
 */
export function factorOf(quantity: Quantity, unit: string): number | null {
  for (const [name, factor] of Object.entries(UNITS[quantity])) if (plain(name) === plain(unit)) return factor;
  return null;
}
