/** A few expensive things kept by key; the one not asked for longest goes first. */
export class Keep<T> {
  readonly #kept = new Map<string, T>();
  constructor(readonly most: number) {}

  get(key: string, make: () => T): T {
    let value = this.#kept.get(key);
    if (value === undefined) value = make();
    this.#kept.delete(key);
    this.#kept.set(key, value);
    if (this.#kept.size > this.most) this.#kept.delete(this.#kept.keys().next().value!);
    return value;
  }

  values(): IterableIterator<T> {
    return this.#kept.values();
  }

  delete(key: string): void {
    this.#kept.delete(key);
  }
}

/** Answers that are kept while they are under way as well; what failed is asked again the next time. */
export class KeepPromises<T> extends Keep<Promise<T>> {
  override get(key: string, make: () => Promise<T>): Promise<T> {
    return super.get(key, () => {
      const making = make();
      making.catch(() => this.delete(key));
      return making;
    });
  }
}
