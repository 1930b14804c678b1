import type { CaseQuality } from './case-quality.js';
import { type FeatureQuality, OUTLIER_SCORE } from './feature-quality.js';
import { type QualityReport, qualitySummary } from './report.js';
import { STYLE } from './style.js';

/** Rows of a flagged feature's table; the JSON has all. */
const FEATURES_SHOWN = 300;

/**
 * The report as one HTML page without scripts and without anything from elsewhere: pictures and style are in it, and its policy forbids all else.
 * `pictures[i]` is the PNG of `report.pictures[i]`.
 */
export function qualityPage(report: QualityReport, pictures: readonly Uint8Array[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>Data quality: ${text(report.cohort)}</title>
<style>${STYLE}</style>
</head>
<body>
<p class="stays"><strong>This page stays at the site.</strong> It names cases and shows their images. Do not send it, and delete it when it is no longer needed.</p>
<h1>Data quality</h1>
<p class="about">${text(report.cohort)}${report.study === null ? '' : `, study ${text(report.study)}`} · ${text(report.madeAt.slice(0, 16).replace('T', ' '))} UTC</p>
${summary(report)}
${exclusions(report)}
<h2>Cases</h2>
${caseTable(report.cases)}
${features(report)}
${report.pictures.length === 0 ? '' : `<h2>Lesions</h2>\n<p class="about">The slice in which the lesion is largest, with the mask’s outline; the patient’s left is at the right. Black and white are the window’s ends.</p>\n<div class="pictures">\n${report.pictures.map((_, at) => picture(report, at, pictures[at]!)).join('\n')}\n</div>`}
</body>
</html>
`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const text = (value: string): string => value.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
const number = (value: number, digits = 4): string => {
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
};
const whole = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
const share = (value: number): string => `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;

function summary(report: QualityReport): string {
  const found = qualitySummary(report);
  const tiles: [string, number, boolean][] = [
    ['cases', found.cases, false],
    ['images with a lesion', found.images, false],
    ['excluded', found.excluded, found.excluded > 0],
    ['worth a look', found.noted, found.noted > 0],
  ];
  const ofFeatures: [string, number, boolean][] = [
    ['features', found.features, false],
    ['constant', found.constant, found.constant > 0],
    ['with gaps', found.incomplete, found.incomplete > 0],
    ['with outliers', found.withOutliers, false],
    ['duplicates', found.duplicates, false],
  ];
  const row = (list: typeof tiles) =>
    `<div class="tiles">${list.map(([name, count, flagged]) => `<div${flagged ? ' class="flagged"' : ''}><b>${whole(count)}</b> ${name}</div>`).join('')}</div>`;
  return report.features === null ? row(tiles) : `${row(tiles)}\n${row(ofFeatures)}`;
}

function exclusions({ cases, exclusions: others }: QualityReport): string {
  const excluded = cases.filter(({ status }) => status === 'excluded');
  const byCode = new Map<string, CaseQuality[]>();
  for (const one of excluded) {
    const key = `${one.reason!.code}: ${one.reason!.message}`;
    byCode.set(key, [...(byCode.get(key) ?? []), one]);
  }
  const rows = [
    ...[...byCode].map(([reason, list]) => ({ reason, count: list.length, cases: list.map(nameOf) })),
    ...others,
  ];
  if (rows.length === 0) return '<h2>Exclusions</h2>\n<p>None.</p>';
  return `<h2>Exclusions</h2>
<table><thead><tr><th class="n">Count</th><th>Reason</th><th>Which</th></tr></thead><tbody>
${rows.map((row) => `<tr><td class="n">${row.count}</td><td>${text(row.reason)}</td><td>${text(row.cases.join(', '))}</td></tr>`).join('\n')}
</tbody></table>`;
}

const nameOf = ({ case: name, timepoint, phase }: CaseQuality): string =>
  [name, timepoint, phase].filter((word) => word !== '').join(' ');

function caseTable(cases: readonly CaseQuality[]): string {
  const hasTimes = cases.some(({ timepoint }) => timepoint !== '');
  const rows = cases.map((one) => {
    const { image, lesion, reason, notes } = one;
    const remark =
      reason === null
        ? notes.map(text).join('<br>')
        : `<span class="out">${text(`${reason.code}: ${reason.message}`)}</span>`;
    const cells = [
      `<td class="id">${text(one.case)}</td>`,
      ...(hasTimes ? [`<td class="id">${text(one.timepoint)}</td>`] : []),
      `<td class="id">${text(one.phase)}</td>`,
      `<td>${text(one.modality ?? 'unknown')}</td>`,
      `<td>${text(one.kernel ?? 'unknown')}</td>`,
      `<td class="n">${image === null ? '' : image.size.join(' × ')}</td>`,
      `<td class="n">${image === null ? '' : image.spacingMm.map((mm) => number(mm, 3)).join(' × ')}</td>`,
      `<td class="n">${lesion === null ? '' : whole(lesion.volumeMm3)}</td>`,
      `<td class="n">${lesion === null ? '' : lesion.components}</td>`,
      `<td>${remark}</td>`,
    ];
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<table><thead><tr><th>Case</th>${hasTimes ? '<th>Time point</th>' : ''}<th>Phase</th><th>Modality</th><th>Kernel</th><th class="n">Voxels</th><th class="n">Spacing, mm</th><th class="n">Lesion, mm³</th><th class="n">Parts</th><th>Remarks</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function features(report: QualityReport): string {
  const { features: found } = report;
  if (found === null)
    return '<h2>Features</h2>\n<p>None were given: <code>--features</code> or <code>--study</code> adds them.</p>';
  const { list, rows, source } = found;
  const flagged = list.filter(
    ({ constant, missing, outliers, duplicateOf }) =>
      constant || missing > 0 || outliers.length > 0 || duplicateOf !== null,
  );
  const about = `<p class="about">${text(source)}: ${whole(qualitySummary(report).features)} features of ${whole(rows.length)} rows. An outlier’s modified z-score is beyond ±${OUTLIER_SCORE}; a duplicate correlates by ±1 with an earlier feature.</p>`;
  if (flagged.length === 0) return `<h2>Features</h2>\n${about}\n<p>Nothing to remark.</p>`;
  // What keeps a feature from being used comes first.
  const rank = (one: FeatureQuality) => (one.constant ? 0 : one.missing > 0 ? 1 : one.outliers.length > 0 ? 2 : 3);
  const shown = [...flagged].sort((a, b) => rank(a) - rank(b)).slice(0, FEATURES_SHOWN);
  const body = shown.map((one) => {
    const which = one.outliers.map((row) => rows[row]!);
    const few = which.length > 5 ? `${which.slice(0, 5).join(', ')} and ${which.length - 5} more` : which.join(', ');
    return `<tr><td class="name">${text(one.name)}</td><td class="n">${one.n}</td><td class="n">${one.missing === 0 ? '' : share(one.missingShare)}</td><td>${one.constant ? 'constant' : ''}</td><td class="n">${one.outliers.length === 0 ? '' : one.outliers.length}</td><td>${text(few)}</td><td class="name">${text(one.duplicateOf ?? '')}</td></tr>`;
  });
  const more = flagged.length - shown.length;
  return `<h2>Features</h2>
${about}
<table><thead><tr><th>Feature</th><th class="n">Values</th><th class="n">Missing</th><th>Constant</th><th class="n">Outliers</th><th>Where</th><th>Duplicate of</th></tr></thead><tbody>
${body.join('\n')}
</tbody></table>${more > 0 ? `\n<p class="about">${whole(more)} more are in quality.json.</p>` : ''}`;
}

function picture({ cases, pictures }: QualityReport, at: number, png: Uint8Array): string {
  const { case: row, width, height, slice, window } = pictures[at]!;
  const one = cases[row]!;
  const base64 = Buffer.from(png).toString('base64');
  const caption = `<b>${text(nameOf(one))}</b><br>slice ${slice}, ${whole(one.lesion!.volumeMm3)} mm³<br>window ${number(window[0], 3)} to ${number(window[1], 3)}`;
  return `<figure><img src="data:image/png;base64,${base64}" width="${width}" height="${height}" alt="Lesion of ${text(nameOf(one))}"><figcaption>${caption}</figcaption></figure>`;
}
