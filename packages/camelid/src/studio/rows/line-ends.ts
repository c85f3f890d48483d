/** Position of every line feed, and of the end of a last line without one: with them any line costs one read. */
export class LineEnds {
  #ends = new Float64Array(1 << 14);
  #count = 0;
  #position = 0;
  #open = false;

  take(piece: Buffer): void {
    for (let at = piece.indexOf(0x0a); at !== -1; at = piece.indexOf(0x0a, at + 1))
      this.#add(this.#position + at);
    this.#position += piece.length;
    this.#open = piece.length > 0 ? piece[piece.length - 1] !== 0x0a : this.#open;
  }

  end(): Float64Array {
    if (this.#open) this.#add(this.#position);
    return this.#ends.slice(0, this.#count);
  }

  #add(end: number): void {
    if (this.#count === this.#ends.length) {
      const larger = new Float64Array(this.#count * 2);
      larger.set(this.#ends);
      this.#ends = larger;
    }
    this.#ends[this.#count++] = end;
  }
}
