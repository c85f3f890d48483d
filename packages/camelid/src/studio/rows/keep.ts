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

  delete(key: string): void {
    this.#kept.delete(key);
  }
}
