import { notBuilt } from './not-built.js';

export const wavelets = notBuilt('wavelets', 'wavelets', /\.json$/, 'not compared yet');
