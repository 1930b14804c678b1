import { WAVELET_NAMES, waveletTaps } from '../../site-agent/radiomics/filters/wavelet-taps.js';
import type { Folder, Part, Sheet } from './part.js';

/** The taps of every discrete wavelet that a file of PyWavelets' filters names. */
export const wavelets: Part = {
  name: 'wavelets',
  run(folder: Folder, sheet: Sheet): void {
    for (const file of folder.list('wavelets', /\.json$/)) {
      const reference = `wavelets/${file}`;
      const published = folder.json<Record<string, Record<string, number[]>>>(reference);
      for (const [name, taps] of Object.entries(published)) {
        const at = { case: name, quantity: 'taps', reference: `${reference}#${name}` };
        if (!WAVELET_NAMES.includes(name)) {
          sheet.unsupported(at, 'no discrete wavelet has this name');
          continue;
        }
        const own = waveletTaps(name);
        const filters: [string, readonly number[]][] = [
          ['dec_lo', own.decompositionLow],
          ['dec_hi', own.decompositionHigh],
          ['rec_lo', own.reconstructionLow],
          ['rec_hi', own.reconstructionHigh],
        ];
        const pairs = filters.flatMap(([filter, got]) =>
          (taps[filter] ?? []).map((want, k) => ({ name: `${filter}[${k}]`, want, got: got[k] })),
        );
        sheet.compare(at, pairs, { rel: 0, abs: 0 });
      }
    }
  },
};
