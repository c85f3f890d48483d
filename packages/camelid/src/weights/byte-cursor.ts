/** Reads numbers and stretches from the front of a byte array; past its end it throws what `atEnd` makes. */
export class ByteCursor {
  readonly #view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    public position: number,
    readonly atEnd: (position: number) => Error,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** Big-endian, as pickle's BINFLOAT alone is. */
  f64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** A view, not a copy. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  /** Bytes up to the next line feed, without it. */
  line(maxLength: number): Uint8Array {
    const end = this.bytes.subarray(this.position, this.position + maxLength).indexOf(0x0a);
    if (end < 0) throw this.atEnd(this.position);
    const line = this.take(end);
    this.position++;
    return line;
  }

  #advance(length: number): number {
    const start = this.position;
    if (start + length > this.bytes.byteLength) throw this.atEnd(start);
    this.position = start + length;
    return start;
  }
}
