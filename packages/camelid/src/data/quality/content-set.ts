import { GrowableUint32 } from "./growable.js";

/**
 * The set of 128-bit content hashes seen so far: each distinct hash gets an entry number, 0, 1, 2, ...
 *
 * Open addressing with linear probing over entry numbers; the hashes themselves lie in insertion order, so growing
 * rewrites 4 bytes an entry. 16 bytes of hash and 8 to 16 of table an entry: a million distinct rows take 24 to 48 MB.
 */
export class ContentSet {
  private readonly hashes = new GrowableUint32(1 << 12);
  /** Entry number + 1, 0 where free. A power of two of slots, at most half of them used. */
  private slots = new Uint32Array(1 << 11);
  private used = 0;

  get size(): number {
    return this.used;
  }

  /** @returns the entry of this hash; it is new exactly when it equals the `size` before the call */
  add(hash: Uint32Array): number {
    const mask = this.slots.length - 1;
    let slot = hash[0]! & mask;
    for (let taken = this.slots[slot]!; taken !== 0; taken = this.slots[slot]!) {
      if (this.holds(taken - 1, hash)) return taken - 1;
      slot = (slot + 1) & mask;
    }
    const entry = this.used++;
    this.slots[slot] = entry + 1;
    for (let i = 0; i < 4; i++) this.hashes.push(hash[i]!);
    if (2 * this.used > this.slots.length) this.grow();
    return entry;
  }

  private holds(entry: number, hash: Uint32Array): boolean {
    const { data } = this.hashes;
    const at = 4 * entry;
    return (
      data[at] === hash[0] && data[at + 1] === hash[1] && data[at + 2] === hash[2] && data[at + 3] === hash[3]
    );
  }

  private grow(): void {
    this.slots = new Uint32Array(2 * this.slots.length);
    const mask = this.slots.length - 1;
    for (let entry = 0; entry < this.used; entry++) {
      let slot = this.hashes.data[4 * entry]! & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = entry + 1;
    }
  }
}
