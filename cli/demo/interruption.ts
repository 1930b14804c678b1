import type { Federation } from './federation.js';
import { pause } from './processes.js';

/**
 * Kills `victim` with SIGKILL while a round holds its acknowledged masked input and has not been unmasked. `holder` is
 * stopped meanwhile, so that the round cannot close before the kill; nothing in the product knows of it. Returns the round, or null where the study was over before.
 */
export async function killAfterAcknowledged(
  federation: Pick<Federation, 'coordinator' | 'sites'>,
  victim: string,
  holder: string,
  when: (line: string) => boolean,
  isOver: () => boolean = () => false,
): Promise<number | null> {
  const { coordinator, sites } = federation;
  const target = sites.get(victim)!;
  const held = sites.get(holder)!;
  let reached = false;
  const stop = coordinator.watch((line) => {
    if (when(line)) reached = true;
  });
  while (!reached && !isOver()) await pause(25);
  stop();
  if (!reached) return null;
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
  while ((Date.now() - quietSince < 600 || uploaded === 0) && !isOver()) await pause(25);
  unwatch();
  if (isOver()) {
    held.signal('SIGCONT');
    return null;
  }
  target.signal('SIGKILL');
  await target.ended();
  held.signal('SIGCONT');
  return uploaded;
}
