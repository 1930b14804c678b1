/**
 * How every model is run. One thread inside the session and a fixed order of operators, so that equal input gives equal bits on one machine. Another runtime may round
 * otherwise: its version is part of the digest of deep features, so that what was cached under another one is not mixed with what is made now.
 */
export const SESSION_OPTIONS = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
} as const;

export const RUNTIME = { name: 'onnxruntime-node', version: '1.30.0', session: SESSION_OPTIONS } as const;
