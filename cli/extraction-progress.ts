import type { Output } from './console.js';
import { count, duration } from './format.js';

const EVERY_MS = 1000;
const BAR = 24;

/**
 * Progress of an extraction on stderr: a bar that moves on a terminal, a line now and then where there is none.
 * @param unit what is counted, in the singular
 */
export function extractionProgress(
  out: Pick<Output, 'progress'>,
  unit: 'case' | 'image' | 'lesion' | 'patient' | 'reading' = 'case',
  write: (text: string) => void = (text) => void process.stderr.write(text),
  isTerminal: boolean = process.stderr.isTTY === true,
): { readonly onCase: (done: number, total: number, failed: number) => void; readonly end: () => void } {
  const startedMs = performance.now();
  let shownMs = Number.NEGATIVE_INFINITY;
  let drawn = false;
  return {
    onCase: (done, total, failed) => {
      const nowMs = performance.now();
      const last = done === total;
      if (nowMs - shownMs < (isTerminal ? EVERY_MS / 10 : 10 * EVERY_MS) && !last) return;
      shownMs = nowMs;
      const trouble = failed === 0 ? '' : `, ${failed} without features`;
      const left = last
        ? duration(nowMs - startedMs)
        : `${duration(((nowMs - startedMs) / done) * (total - done))} left`;
      const text = `  extracting: ${done} of ${count(total, unit)}${trouble}, ${left}`;
      if (!isTerminal) return out.progress(text);
      const filled = Math.round((BAR * done) / total);
      write(`\r\x1b[2K  ${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}${text.slice('  extracting:'.length)}`);
      drawn = true;
    },
    end: () => {
      if (drawn) write('\n');
    },
  };
}
