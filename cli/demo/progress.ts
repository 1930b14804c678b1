/** One line that is written over on a terminal, and a line for each computation elsewhere. */
export class RoundProgress {
  private last = '';
  private width = 0;

  constructor(
    private readonly write: (text: string) => void,
    private readonly terminal: boolean,
  ) {}

  /** Takes a line of the coordinator's log; others are ignored. */
  line(text: string): void {
    const match = /^study \S+ round (\d+) (\S+) (\d+)$/.exec(text);
    if (match === null) return;
    const [, round, computation, iteration] = match;
    if (this.terminal) this.over(`  round ${round}  ${computation} ${iteration}`);
    else if (computation !== this.last) this.write(`  round ${String(round).padStart(3)}  ${computation}\n`);
    this.last = computation!;
  }

  /** Writes a line that stays. */
  say(text: string): void {
    this.clear();
    this.write(`  ${text}\n`);
  }

  clear(): void {
    if (this.terminal && this.width > 0) this.write(`\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }

  private over(text: string): void {
    this.write(`\r${text.padEnd(this.width)}`);
    this.width = Math.max(this.width, text.length);
  }
}
