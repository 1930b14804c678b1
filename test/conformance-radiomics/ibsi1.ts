import { notBuilt } from './not-built.js';

export const ibsi1 = notBuilt('ibsi1', 'ibsi1', /^reference_values_.*\.csv$/, 'not compared yet');
