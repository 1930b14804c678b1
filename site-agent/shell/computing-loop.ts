import { parentPort, workerData } from 'node:worker_threads';
import { assert, ConcordatError } from '../../shared/errors.js';
import { Secret } from '../../shared/secret.js';
import type { SiteRegistry } from '../site-run.site.js';
import { SiteWork, type SiteWorkSetup } from '../site-work.site.js';
import type { Answer, Request } from './computer.js';

/**
 * The thread's side of computer.ts: one job after another, each answered in its order. Rows come in once, with the
 * setup; what goes out has passed the release gate, or is a refusal.
 */
export function serveComputations(registry?: SiteRegistry): void {
  const port = parentPort;
  assert(port !== null, 'computations are served in a thread only');
  const work = new SiteWork(workerData as SiteWorkSetup, registry);
  const results = new Map<string, unknown>();
  port.on('message', (request: Request) => {
    for (const [name, { value }] of request.results) results.set(name, value);
    try {
      const value = answerTo(work, request, results);
      const bytes = value instanceof Uint8Array ? value : 'words' in value ? value.words : null;
      // Handed over, not copied, where the whole buffer is ours to give.
      const transfer =
        bytes !== null && bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [];
      port.postMessage({ value } satisfies Answer, transfer);
    } catch (error) {
      port.postMessage({ error: told(error) } satisfies Answer);
    }
  });
}

function answerTo(work: SiteWork, request: Request, results: ReadonlyMap<string, unknown>) {
  switch (request.type) {
    case 'contribute':
      return work.contribute(request.task, results);
    case 'localHarmonization':
      return work.localHarmonization(results);
    case 'mask': {
      const { job, leaves, words, secret: bytes } = request;
      const secret = bytes === null ? null : new Secret(bytes);
      bytes?.fill(0);
      try {
        return work.mask(job, leaves, words, secret);
      } finally {
        secret?.wipe();
      }
    }
  }
}

function told(error: unknown) {
  const known =
    error instanceof ConcordatError
      ? error
      : new ConcordatError('INTERNAL_BUG', error instanceof Error ? error.message : String(error));
  const { code, message, hint, problems } = known;
  return { code, message, hint, problems: [...problems] };
}
