/** The last things read or made: regions of one image come in a row. */
export class LastRead<T> {
  private readonly kept = new Map<string, T>();

  constructor(
    private readonly read: (key: string) => Promise<T>,
    private readonly atMost: number,
  ) {}

  of(key: string): Promise<T> {
    return this.ofMade(key, () => this.read(key));
  }

  /** The same for what is made of more than its key says. */
  async ofMade(key: string, make: () => Promise<T>): Promise<T> {
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    if (this.kept.size >= this.atMost) this.kept.delete(this.kept.keys().next().value!);
    const found = await make();
    this.kept.set(key, found);
    return found;
  }
}
