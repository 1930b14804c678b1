import { workerData } from 'node:worker_threads';
import { SITE_COMPUTATIONS } from '../../dist/site-agent/computations.js';
import { serveComputations } from '../../dist/site-agent/shell/computing-loop.js';

/** The product's computing thread with site halves that are slow or fatal as often as the setup says. */
const { kind, times, ms, count } = workerData.trouble;

function trouble() {
  if (Atomics.load(count, 0) >= times) return;
  Atomics.add(count, 0, 1);
  if (kind === 'busy') for (const end = Date.now() + ms; Date.now() < end; );
  // As when memory runs out: the thread stops here, and nothing in it can catch that.
  else process.exit(7);
}

const registry = Object.fromEntries(
  Object.entries(SITE_COMPUTATIONS).map(([name, halves]) => [
    name,
    {
      ...halves,
      site: {
        name: halves.site.name,
        contribute: (...given) => {
          trouble();
          return halves.site.contribute(...given);
        },
      },
    },
  ]),
);
serveComputations(registry);
