import { notBuilt } from './not-built.js';

export const peritumoral = notBuilt('peritumoral', 'peritumoral', /\.json$/, 'not compared yet');
