import { notBuilt } from './not-built.js';

export const ibsi2 = notBuilt('ibsi2', 'ibsi2/response_maps', /./, 'not compared yet');
