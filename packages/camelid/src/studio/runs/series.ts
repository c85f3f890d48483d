/** Numbers over steps, as a run writes them: appended, and cut back where a resume went back. */

/** A growing list of (step, value); steps only rise. */
export class Series {
  length = 0;
  #steps = new Float64Array(256);
  #values = new Float64Array(256);

  push(step: number, value: number): void {
    if (this.length === this.#steps.length) {
      this.#steps = grown(this.#steps);
      this.#values = grown(this.#values);
    }
    this.#steps[this.length] = step;
    this.#values[this.length++] = value;
  }

  /** The numbers themselves, for loops over all of them: valid up to `length`, until the next `push`. */
  get arrays(): { steps: Float64Array; values: Float64Array } {
    return { steps: this.#steps, values: this.#values };
  }

  step(index: number): number {
    return this.#steps[index]!;
  }

  value(index: number): number {
    return this.#values[index]!;
  }

  /** Index of the first step at or after `step`. */
  indexFrom(step: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#steps[middle]! < step) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Forgets every step after `step`. */
  cutAfter(step: number): void {
    this.length = this.indexFrom(step + 1);
  }
}

function grown(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}
