export * from './auc.js';
export * from './calibration.js';
export * from './concordance.js';
export * from './intervals.js';
export * from './pairs.js';
export * from './ranks.js';
export * from './threshold.js';
