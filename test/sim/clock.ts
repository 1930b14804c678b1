/** Virtual time: things to do, in order of their time and then of their arrival. A binary heap. */
export class VirtualClock {
  nowMs = 0;
  private sequence = 0;
  private readonly heap: { readonly atMs: number; readonly sequence: number; readonly run: () => void }[] = [];

  at(atMs: number, run: () => void): void {
    const item = { atMs: Math.max(atMs, this.nowMs), sequence: this.sequence++, run };
    const { heap } = this;
    let i = heap.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(item, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = item;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Runs the next thing; false where nothing is left or the limit is reached. */
  step(limitMs: number): boolean {
    const { heap } = this;
    const first = heap[0];
    if (first === undefined || first.atMs > limitMs) return false;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
        if (!before(heap[child]!, last)) break;
        heap[i] = heap[child]!;
        i = child;
      }
      heap[i] = last;
    }
    this.nowMs = first.atMs;
    first.run();
    return true;
  }
}

function before(a: { atMs: number; sequence: number }, b: { atMs: number; sequence: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
