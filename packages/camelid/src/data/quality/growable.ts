/** Typed arrays that grow by doubling: millions of small records without an object for each. */
export class GrowableUint32 {
  length = 0;
  data: Uint32Array;

  constructor(capacity = 1024) {
    this.data = new Uint32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.data.length) {
      const larger = new Uint32Array(2 * this.length);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[this.length++] = value;
  }

  /** A copy of what was pushed. */
  toArray(): Uint32Array {
    return this.data.slice(0, this.length);
  }
}

/** Small whole numbers for strings that repeat (source names), in order of arrival. */
export class Interner {
  readonly names: string[] = [];
  private readonly ids = new Map<string, number>();

  id(name: string): number {
    let id = this.ids.get(name);
    if (id === undefined) {
      id = this.names.length;
      this.ids.set(name, id);
      this.names.push(name);
    }
    return id;
  }
}
