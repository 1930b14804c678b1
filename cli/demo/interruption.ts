import type { Federation } from './federation.js';
import { pause } from './processes.js';

/**
 * Kills `victim` with SIGKILL while a round holds its acknowledged masked input and has not been unmasked. `holder` is
 * stopped meanwhile, so that the round cannot close before the kill; nothing in the product knows of it. Returns the round.
 */
export async function killAfterAcknowledged(
  federation: Pick<Federation, 'coordinator' | 'sites'>,
  victim: string,
  holder: string,
  when: (line: string) => boolean,
): Promise<number> {
  const { coordinator, sites } = federation;
  const target = sites.get(victim)!;
  const held = sites.get(holder)!;
  await new Promise<void>((resolve) => {
    const stop = coordinator.watch((line) => {
      if (!when(line)) return;
      stop();
      resolve();
    });
  });
  held.signal('SIGSTOP');
  // Rounds that no longer need the stopped site close; then one waits for it, and the victim's input is in.
  let uploaded = 0;
  let quietSince = Date.now();
  const unwatch = target.watch((line) => {
    const match = /round (\d+) \S+ (uploaded|joined)$/.exec(line);
    if (match === null) return;
    quietSince = Date.now();
    if (match[2] === 'uploaded') uploaded = Number(match[1]);
  });
  while (Date.now() - quietSince < 600 || uploaded === 0) await pause(25);
  unwatch();
  target.signal('SIGKILL');
  await target.ended();
  held.signal('SIGCONT');
  return uploaded;
}
