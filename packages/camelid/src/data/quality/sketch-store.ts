/** Sketches of all rows, `size` bytes each, in blocks: growing never copies what is there. */
export class SketchStore {
  rows = 0;
  private readonly blocks: Uint8Array[] = [];
  private readonly empty = new Set<number>();

  constructor(readonly size: number) {}

  /** Room for the next row's sketch. */
  next(): { bytes: Uint8Array; offset: number } {
    const row = this.rows++;
    if (row >>> BLOCK_BITS === this.blocks.length) this.blocks.push(new Uint8Array(this.size << BLOCK_BITS));
    return { bytes: this.block(row), offset: this.offset(row) };
  }

  /** The last row has no sketch. */
  markEmpty(): void {
    this.empty.add(this.rows - 1);
  }

  isEmpty(row: number): boolean {
    return this.empty.has(row);
  }

  /** Block and place of a row's sketch, for loops that read many. */
  block(row: number): Uint8Array {
    return this.blocks[row >>> BLOCK_BITS]!;
  }

  offset(row: number): number {
    return (row & BLOCK_MASK) * this.size;
  }

  /** Number of equal bytes; stops early, with a number below `atLeast`, once that cannot be reached. */
  equalBytes(a: number, b: number, atLeast: number): number {
    const bytesA = this.block(a);
    const bytesB = this.block(b);
    let i = this.offset(a);
    let j = this.offset(b);
    let equal = this.size;
    for (const end = i + this.size; i < end; i++, j++) {
      if (bytesA[i] !== bytesB[j] && --equal < atLeast) return equal;
    }
    return equal;
  }

  /** 32-bit hash of `length` bytes of the sketch from `from`. */
  hash(row: number, from: number, length: number): number {
    const bytes = this.block(row);
    let at = this.offset(row) + from;
    let hash = 0;
    for (const end = at + length; at < end; at++)
      hash = Math.imul(hash ^ bytes[at]!, 0x5bd1e995) ^ (hash >>> 15);
    hash = Math.imul(hash ^ (hash >>> 13), 0x5bd1e995);
    return (hash ^ (hash >>> 15)) >>> 0;
  }
}

const BLOCK_BITS = 14;
const BLOCK_MASK = (1 << BLOCK_BITS) - 1;
