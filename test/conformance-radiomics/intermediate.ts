import { compareGrids } from '../../site-agent/imaging/compare-grids.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';
import { continuousIndex, type Vec3, type Volume } from '../../site-agent/imaging/volume.js';
import type { Source } from '../../site-agent/radiomics/extract.js';
import { filterUnits } from '../../site-agent/radiomics/filter-units.js';
import { IMAGE_TYPE_FILTERS } from '../../site-agent/radiomics/filters/pyradiomics.js';
import { prepare } from '../../site-agent/radiomics/preprocessing.js';
import { parseSettings } from '../../site-agent/radiomics/settings.js';
import { caseFiles, readCase } from './cases.js';
import type { Folder, Part, Place, Sheet } from './part.js';

/** Images on the way to features: `<case>_<filtered image>_crop`, `<case>_resampled_<interpolator>`, `<case>_resampled_mask`. */
export const intermediate: Part = {
  name: 'intermediate',
  run(folder: Folder, sheet: Sheet): void {
    const place = 'pyradiomics/intermediate';
    const sources = new Map<string, Source | null>();
    const sourceOf = (name: string): Source | null => {
      if (!sources.has(name)) sources.set(name, readCase(folder, name));
      return sources.get(name)!;
    };
    for (const file of folder.list(place, /\.(nrrd|nii|nii\.gz)$/)) {
      const { name, what } = nameParts(folder, file.replace(/\.(nrrd|nii|nii\.gz)$/, ''));
      const at = { case: name, quantity: what, reference: `${place}/${file}` };
      sheet.attempt(at, () => {
        const source = sourceOf(name);
        const want = readImageFile(folder.path(place, file));
        if (source === null) sheet.unsupported(at, `the image of ${name} is not in the folder`);
        else if (what.startsWith('resampled_'))
          compareResampled(sheet, at, want, source, what.slice('resampled_'.length));
        else compareFiltered(sheet, at, want, source, what.replace(/_crop$/, ''));
      });
    }
  },
};

/** A file's name is that of the case, which may have underscores itself, and of what is shown: the longest case that is there counts. */
function nameParts(folder: Folder, stem: string): { name: string; what: string } {
  const words = stem.split('_');
  const cuts = words.map((_, k) => words.length - 1 - k).filter((k) => k > 0);
  const at = cuts.find((k) => caseFiles(folder, words.slice(0, k).join('_')) !== null) ?? 1;
  return { name: words.slice(0, at).join('_'), what: words.slice(at).join('_') || 'image' };
}

const INTERPOLATORS: Readonly<Record<string, string>> = {
  bspline: 'sitkBSpline',
  linear: 'sitkLinear',
  nearest: 'sitkNearestNeighbor',
  gaussian: 'sitkGaussian',
  hamming: 'sitkHammingWindowedSinc',
  cosine: 'sitkCosineWindowedSinc',
  welch: 'sitkWelchWindowedSinc',
  lanczos: 'sitkLanczosWindowedSinc',
  blackman: 'sitkBlackmanWindowedSinc',
};

function compareResampled(sheet: Sheet, at: Place, want: Volume, source: Source, kind: string): void {
  const [word, type] = kind.split('_');
  const interpolator = word === 'mask' ? 'sitkNearestNeighbor' : INTERPOLATORS[word!];
  if (interpolator === undefined) {
    sheet.unsupported(at, `no interpolator is called ${word}`);
    return;
  }
  const setting = { resampledPixelSpacing: want.spacingMm, interpolator };
  const { settings } = parseSettings(JSON.stringify({ setting }), at.reference);
  // A float image is resampled without the truncation that an integer type brings.
  const image = type === 'float' ? { ...source.image, data: Float64Array.from(source.image.data) } : source.image;
  const { image: got, roi } = prepare({ ...source, image }, settings.preprocessing, { diagnose: false });
  const differences = compareGrids(want, got);
  if (differences.length > 0)
    sheet.check(at, false, `another grid: ${differences.map(({ message }) => message).join('; ')}`);
  else if (word === 'mask') {
    const mask = new Uint8Array(want.data.length);
    for (const index of roi.indices) mask[index] = 1;
    sheet.compareSamples(at, want.data, mask, 0);
  } else sheet.compareSamples(at, want.data, got.data);
}

function compareFiltered(sheet: Sheet, at: Place, want: Volume, { image, mask }: Source, name: string): void {
  const unit = unitFor(name);
  if (unit === null) {
    sheet.unsupported(at, `no filter gives an image called ${name}`);
    return;
  }
  const corner = continuousIndex(image, want.origin).map(Math.round) as unknown as Vec3;
  const upper = corner.map((low, axis) => low + want.size[axis]! - 1) as unknown as Vec3;
  const input = { image, roi: roiOf(mask), region: { lower: corner, upper } };
  for (const filtered of IMAGE_TYPE_FILTERS[unit.type](input, unit.filter)) {
    if (filtered.name !== name) continue;
    const differences = compareGrids(want, filtered.volume);
    if (differences.length > 0)
      sheet.check(at, false, `another grid: ${differences.map(({ message }) => message).join('; ')}`);
    else sheet.compareSamples(at, want.data, filtered.volume.data);
    return;
  }
  sheet.check(at, false, `the filter gives no image called ${name}`);
}

/** The filter that gives an image of this name, with its defaults. */
function unitFor(name: string): ReturnType<typeof filterUnits>[number] | null {
  const sigma = /^log-sigma-(\d+)-?(\d*)-mm-3D$/.exec(name);
  const level = /^wavelet(\d*)-/.exec(name);
  const plain: Readonly<Record<string, string>> = {
    original: 'Original',
    square: 'Square',
    squareroot: 'SquareRoot',
    logarithm: 'Logarithm',
    exponential: 'Exponential',
    gradient: 'Gradient',
    'lbp-2D': 'LBP2D',
  };
  const imageType =
    sigma !== null
      ? `LoG: {sigma: [${sigma[1]}${sigma[2] === '' ? '' : `.${sigma[2]}`}]}`
      : level !== null
        ? `Wavelet: {level: ${level[1] === '' ? 1 : level[1]}}`
        : name.startsWith('lbp-3D')
          ? 'LBP3D: {}'
          : plain[name] === undefined
            ? null
            : `${plain[name]}: {}`;
  if (imageType === null) return null;
  return filterUnits(parseSettings(`imageType: {${imageType}}`, name).settings)[0]!;
}
