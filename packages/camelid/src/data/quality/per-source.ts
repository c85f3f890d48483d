/** One record of counters per source (or benchmark, or language), made on first sight, listed in order of arrival. */
export class PerSource<Counts> {
  private readonly counts = new Map<string, Counts>();

  constructor(private readonly fresh: () => Counts) {}

  of(source: string): Counts {
    let counts = this.counts.get(source);
    if (counts === undefined) {
      counts = this.fresh();
      this.counts.set(source, counts);
    }
    return counts;
  }

  entries(): Iterable<[string, Counts]> {
    return this.counts.entries();
  }

  sum(of: (counts: Counts) => number): number {
    let total = 0;
    for (const counts of this.counts.values()) total += of(counts);
    return total;
  }

  toObject(): Record<string, Counts> {
    return Object.fromEntries(this.counts);
  }
}
