/**
 * Clinical scores of liver disease as their papers define them. Inputs are in the units named at each; a score of impossible input
 * (not positive where a logarithm or a ratio needs it) is NaN, which the caller turns into a missing score with a reason.
 */

/**
 * Albumin-bilirubin score. Bilirubin in µmol/L, albumin in g/L.
 * Johnson et al., J Clin Oncol 2015;33:550-8: 0.66 log10(bilirubin) - 0.085 albumin.
 */
export function albi(bilirubinUmolL: number, albuminGL: number): number {
  if (!(bilirubinUmolL > 0) || !(albuminGL > 0)) return Number.NaN;
  return 0.66 * Math.log10(bilirubinUmolL) - 0.085 * albuminGL;
}

/** Grade 1 up to -2.60, 2 above it up to -1.39, 3 above (Johnson 2015). */
export function albiGrade(score: number): 1 | 2 | 3 {
  return score <= -2.6 ? 1 : score <= -1.39 ? 2 : 3;
}

export type Ascites = 'none' | 'slight' | 'moderate';
export type Encephalopathy = 'none' | 'grade 1-2' | 'grade 3-4';

/**
 * Child-Pugh points, 5 to 15. Bilirubin in mg/dL (2, 3), albumin in g/dL (3.5, 2.8), INR (1.7, 2.3), ascites, encephalopathy.
 * Pugh et al., Br J Surg 1973;60:646-9, with the INR bounds in use since; a value on a bound counts as the middle column.
 */
export function childPugh(
  bilirubinMgDl: number,
  albuminGDl: number,
  inr: number,
  ascites: Ascites,
  encephalopathy: Encephalopathy,
): number {
  if (!(bilirubinMgDl >= 0) || !(albuminGDl > 0) || !(inr > 0)) return Number.NaN;
  const laboratory =
    rising(bilirubinMgDl, 2, 3) + (albuminGDl > 3.5 ? 1 : albuminGDl >= 2.8 ? 2 : 3) + rising(inr, 1.7, 2.3);
  const clinical =
    { none: 1, slight: 2, moderate: 3 }[ascites] + { none: 1, 'grade 1-2': 2, 'grade 3-4': 3 }[encephalopathy];
  return laboratory + clinical;
}

const rising = (value: number, low: number, high: number): number => (value < low ? 1 : value <= high ? 2 : 3);

/** A: 5 and 6 points, B: 7 to 9, C: 10 to 15 (Pugh 1973). */
export function childPughClass(points: number): 'A' | 'B' | 'C' {
  return points <= 6 ? 'A' : points <= 9 ? 'B' : 'C';
}

/**
 * Model for end-stage liver disease as OPTN computed it up to 2016, 6 to 40. Bilirubin and creatinine in mg/dL. Values below 1 count as 1,
 * creatinine above 4 or dialysis as 4. Kamath et al., Hepatology 2001;33:464-70; OPTN policy 9.1.
 */
export function meld(bilirubinMgDl: number, inr: number, creatinineMgDl: number, dialysis = false): number {
  if (!(bilirubinMgDl > 0) || !(inr > 0) || !(creatinineMgDl > 0)) return Number.NaN;
  return bounded(rawMeld(bilirubinMgDl, inr, creatinineMgDl, dialysis), 6, 40);
}

/** Rounded to the tenth before it is multiplied by ten, as the policy says. */
function rawMeld(bilirubinMgDl: number, inr: number, creatinineMgDl: number, dialysis: boolean): number {
  const creatinine = dialysis ? 4 : bounded(creatinineMgDl, 1, 4);
  const sum =
    0.957 * Math.log(creatinine) +
    0.378 * Math.log(Math.max(1, bilirubinMgDl)) +
    1.12 * Math.log(Math.max(1, inr)) +
    0.643;
  return Math.round(10 * sum);
}

/**
 * MELD-Na, 6 to 40: where MELD is above 11, MELD + 1.32 (137 - Na) - 0.033 MELD (137 - Na), sodium in mmol/L held between 125 and
 * 137. Kim et al., N Engl J Med 2008;359:1018-26; OPTN policy 9.1.D (2016).
 */
export function meldNa(
  bilirubinMgDl: number,
  inr: number,
  creatinineMgDl: number,
  sodiumMmolL: number,
  dialysis = false,
): number {
  if (!(bilirubinMgDl > 0) || !(inr > 0) || !(creatinineMgDl > 0) || !(sodiumMmolL > 0)) return Number.NaN;
  const score = rawMeld(bilirubinMgDl, inr, creatinineMgDl, dialysis);
  if (score <= 11) return bounded(score, 6, 40);
  const below = 137 - bounded(sodiumMmolL, 125, 137);
  return bounded(Math.round(score + 1.32 * below - 0.033 * score * below), 6, 40);
}

const bounded = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/**
 * aMAP risk score of HCC, 0 to 100. Age in years, platelets per 10^9/L, bilirubin in µmol/L, albumin in g/L.
 * Fan et al., J Hepatol 2020;73:1368-78: ((0.06 age + 0.89 male + 0.48 ALBI - 0.01 platelets) + 7.4) / 14.77 × 100.
 */
export function amap(
  ageYears: number,
  male: boolean,
  platelets: number,
  bilirubinUmolL: number,
  albuminGL: number,
): number {
  if (!(ageYears >= 0) || !(platelets >= 0)) return Number.NaN;
  const linear = 0.06 * ageYears + (male ? 0.89 : 0) + 0.48 * albi(bilirubinUmolL, albuminGL) - 0.01 * platelets;
  return ((linear + 7.4) / 14.77) * 100;
}

/**
 * Fibrosis-4 index. Age in years, AST and ALT in U/L, platelets per 10^9/L.
 * Sterling et al., Hepatology 2006;43:1317-25: age AST / (platelets √ALT).
 */
export function fib4(ageYears: number, astUL: number, altUL: number, platelets: number): number {
  if (!(ageYears >= 0) || !(astUL >= 0) || !(altUL > 0) || !(platelets > 0)) return Number.NaN;
  return (ageYears * astUL) / (platelets * Math.sqrt(altUL));
}

/**
 * AST to platelet ratio index. AST and its upper limit of normal in U/L, platelets per 10^9/L.
 * Wai et al., Hepatology 2003;38:518-26: (AST / limit) / platelets × 100.
 */
export function apri(astUL: number, astUpperLimitUL: number, platelets: number): number {
  if (!(astUL >= 0) || !(astUpperLimitUL > 0) || !(platelets > 0)) return Number.NaN;
  return (astUL / astUpperLimitUL / platelets) * 100;
}

/** Neutrophil to lymphocyte ratio of counts in one unit. Zahorec, Bratisl Lek Listy 2001;102:5-14. */
export function nlr(neutrophils: number, lymphocytes: number): number {
  if (!(neutrophils >= 0) || !(lymphocytes > 0)) return Number.NaN;
  return neutrophils / lymphocytes;
}

export interface BclcInput {
  /** ECOG performance status, 0 to 4. */
  readonly performanceStatus: number;
  readonly childPugh: 'A' | 'B' | 'C';
  readonly tumours: number;
  readonly largestCm: number;
  /** Portal invasion as seen on imaging. */
  readonly vascularInvasion: boolean;
  readonly extrahepaticSpread: boolean;
}

/**
 * Barcelona Clinic Liver Cancer stage. Reig et al., J Hepatol 2022;76:681-93, figure 1: D with performance status above 2 or end-stage liver function,
 * here Child-Pugh C; C with portal invasion, spread or performance status 1 to 2; else by burden: 0 one tumour up to 2 cm, A one tumour or up to
 * three of at most 3 cm, B more. Transplant candidacy, which keeps some patients with Child-Pugh C out of D, is not an input.
 */
export function bclc(input: BclcInput): '0' | 'A' | 'B' | 'C' | 'D' | null {
  const { performanceStatus, tumours, largestCm } = input;
  if (!Number.isInteger(performanceStatus) || performanceStatus < 0 || performanceStatus > 4) return null;
  if (!Number.isInteger(tumours) || tumours < 1 || !(largestCm > 0)) return null;
  if (performanceStatus > 2 || input.childPugh === 'C') return 'D';
  if (performanceStatus > 0 || input.vascularInvasion || input.extrahepaticSpread) return 'C';
  if (tumours === 1) return largestCm <= 2 ? '0' : 'A';
  return tumours <= 3 && largestCm <= 3 ? 'A' : 'B';
}
