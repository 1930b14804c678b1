import type { ImageFacts, Inspection } from '../site-agent/imaging/shell/inspect-files.js';
import { table, wrap } from './format.js';

/** An inspection as a person reads it. */
export function inspectionText({ image, mask, findings }: Inspection): string {
  const blocks: string[] = [];
  if (image !== null) blocks.push(imageText(image));
  if (mask !== null && mask.regions.length > 0)
    blocks.push(
      table(
        ['Label', 'Name', 'Voxels', 'mm³', 'Slices', 'Min', 'Median', 'Mean', 'SD', 'Max'],
        mask.regions.map(({ label, name, voxels, volumeMm3, slices, intensities: of }) => [
          label,
          printable(name ?? '–'),
          voxels,
          shown(volumeMm3),
          slices,
          shown(of.min),
          shown(of.median),
          shown(of.mean),
          shown(of.sd),
          shown(of.max),
        ]),
        { align: ['right', 'left'] },
      ),
    );
  else if (mask !== null && mask.labels.length > 0) blocks.push(`Mask labels  ${mask.labels.slice(0, 50).join(', ')}`);
  blocks.push(findings.length === 0 ? 'No problem found.' : findings.map(findingText).join('\n'));
  return blocks.join('\n\n');
}

function imageText(image: ImageFacts): string {
  const { grid, intensities: of, dicom } = image;
  const lines: (readonly [string, string])[] = [];
  const what =
    dicom === null
      ? ''
      : `, ${dicom.modality ?? 'no modality'}, ${dicom.files} ${dicom.files === 1 ? 'file' : 'files'}`;
  lines.push(['Format', `${image.format}${what}`]);
  if (dicom !== null) lines.push(['Encoding', dicom.transferSyntax]);
  if (image.size !== null) lines.push(['Size', `${image.size.join(' × ')} voxels`]);
  else if (dicom?.rows != null)
    lines.push([
      'Size',
      `${dicom.columns} × ${dicom.rows}, ${dicom.frames} ${dicom.frames === '1' ? 'frame' : 'frames'}`,
    ]);
  if (grid !== null) {
    lines.push(['Spacing', `${grid.spacingMm.map(shown).join(' × ')} mm`]);
    lines.push(['Origin', `${grid.origin.map(shown).join(', ')} mm (LPS)`]);
    lines.push(['Axes', `${grid.axes}${isStraight(grid.direction) ? '' : ', oblique'}`]);
  }
  if (image.pixelType !== null)
    lines.push([
      'Voxels',
      image.storedType === null || image.storedType === image.pixelType
        ? image.pixelType
        : `${image.pixelType}, stored as ${image.storedType}`,
    ]);
  if (of !== null)
    lines.push(['Intensities', `${shown(of.min)} to ${shown(of.max)}, mean ${shown(of.mean)}, SD ${shown(of.sd)}`]);
  const block = lines.map(([name, value]) => `${name.padEnd(13)}${value}`).join('\n');
  const regions =
    image.segments !== null
      ? table(
          ['Segment', 'Name', 'Frames', 'Voxels'],
          image.segments.map(({ label, name, frames, voxels }) => [label, printable(name ?? '–'), frames, voxels]),
        )
      : image.structures !== null
        ? table(
            ['ROI', 'Name', 'Contours', 'Area mm²'],
            image.structures.map(({ label, name, contours, areaMm2 }) => [
              label,
              printable(name ?? '–'),
              contours,
              shown(areaMm2),
            ]),
          )
        : null;
  return regions === null ? block : `${block}\n\n${regions}`;
}

function findingText({ severity, code, what, message, hint, problems }: Inspection['findings'][number]): string {
  const lines = wrap(`${what}: ${message}`, 100);
  if (severity === 'warning') return [`warning  ${lines[0]}`, ...indented(lines.slice(1))].join('\n');
  const places = problems.filter(({ file }) => file !== undefined);
  const files = places
    .slice(0, 10)
    .map(({ file, message: of }) => `  ${printable(file!)}${of === message ? '' : `: ${of}`}`);
  const more = places.length > 10 ? [`  and ${places.length - 10} more files`] : [];
  return [`error    ${code}`, ...indented([...lines, ...files, ...more, ...wrap(hint ?? '', 100)])].join('\n');
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `         ${line}`);

const isStraight = (direction: readonly number[]): boolean =>
  direction.every((value) => Math.abs(value) < 1e-6 || Math.abs(Math.abs(value) - 1) < 1e-6);

const shown = (value: number | null): string => (value === null ? '–' : String(Number(value.toPrecision(7))));

/** Names come from files: no control character of theirs reaches the terminal. */
const printable = (name: string): string => name.replace(/\p{C}/gu, '?').slice(0, 80);
