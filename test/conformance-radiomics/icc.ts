import { notBuilt } from './not-built.js';

export const icc = notBuilt('icc', 'icc', /\.json$/, 'not compared yet');
