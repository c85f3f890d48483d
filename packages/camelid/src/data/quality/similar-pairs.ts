import { equalBytesFor } from "./minhash.js";
import type { SketchStore } from "./sketch-store.js";

/**
 * Joins rows into clusters: band by band, rows whose sketches agree in the (hashed) bytes of the band fall into one bucket,
 * members of a bucket are compared, similar ones joined.
 *
 * Data made from templates fills single buckets with tens of thousands of rows, and comparing all pairs would never
 * end. Three rules bound it, none of which depends on chance: rows with equal sketches are joined first and only one
 * of them goes on; a row that is nearly the same as a member of the bucket is not added to it; a row is compared with
 * the `MAX_WALK` latest members. Each of 20 bands is another chance for a pair that one bucket passed over.
 */
export function joinSimilarRows(
  sketches: SketchStore,
  { threshold, bands, rowsPerBand }: { threshold: number; bands: number; rowsPerBand: number },
): { clusterOf: Uint32Array; comparedPairs: number } {
  const clusters = new DisjointSets(sketches.rows);
  const similar = equalBytesFor(threshold, sketches.size);
  const nearlySame = equalBytesFor((1 + threshold) / 2, sketches.size);
  const buckets = new Buckets(sketches.rows);
  // Hashes of the rows' bytes under comparison: most strangers in a slot are told apart without a look at their sketches.
  const hashes = new Uint32Array(sketches.rows);
  let comparedPairs = 0;

  const distinct: number[] = [];
  for (let row = 0; row < sketches.rows; row++) {
    if (sketches.isEmpty(row)) continue;
    const hash = sketches.hash(row, 0, sketches.size);
    hashes[row] = hash;
    const slot = buckets.slot(hash);
    const twin = buckets.find(
      slot,
      (other) => hashes[other] === hash && sketches.equalBytes(row, other, 0) === sketches.size,
    );
    if (twin === undefined) {
      buckets.add(slot, row);
      distinct.push(row);
    } else {
      clusters.join(twin, row);
    }
  }

  for (let band = 0; band < bands; band++) {
    const from = band * rowsPerBand;
    buckets.clear();
    for (const row of distinct) {
      const hash = sketches.hash(row, from, rowsPerBand);
      hashes[row] = hash;
      const slot = buckets.slot(hash);
      let walked = 0;
      let stands = true;
      for (let other = buckets.latest(slot); other >= 0 && walked < MAX_WALK; other = buckets.before(other)) {
        if (hashes[other] !== hash) continue; // another bucket in the same slot
        walked++;
        comparedPairs++;
        const equal = sketches.equalBytes(row, other, similar);
        if (equal < similar) continue;
        clusters.join(row, other);
        if (equal >= nearlySame) stands = false;
      }
      if (stands) buckets.add(slot, row);
    }
  }
  return { clusterOf: clusters.firsts(), comparedPairs };
}

const MAX_WALK = 64;

/** Rows by slot of a hash table, each slot a chain from its latest row back; emptied and reused for every band. */
class Buckets {
  private readonly heads: Int32Array;
  private readonly previous: Int32Array;

  constructor(rows: number) {
    this.heads = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(2, 2 * rows)))).fill(-1);
    this.previous = new Int32Array(rows);
  }

  clear(): void {
    this.heads.fill(-1);
  }

  slot(hash: number): number {
    return hash & (this.heads.length - 1);
  }

  latest(slot: number): number {
    return this.heads[slot]!;
  }

  before(row: number): number {
    return this.previous[row]!;
  }

  add(slot: number, row: number): void {
    this.previous[row] = this.heads[slot]!;
    this.heads[slot] = row;
  }

  find(slot: number, matches: (row: number) => boolean): number | undefined {
    for (let row = this.latest(slot); row >= 0; row = this.before(row)) if (matches(row)) return row;
    return undefined;
  }
}

/** Union-find in which the root of a set is its least member. */
class DisjointSets {
  private readonly parent: Uint32Array;

  constructor(size: number) {
    this.parent = Uint32Array.from({ length: size }, (_, i) => i);
  }

  join(a: number, b: number): void {
    const rootA = this.root(a);
    const rootB = this.root(b);
    this.parent[Math.max(rootA, rootB)] = Math.min(rootA, rootB);
  }

  firsts(): Uint32Array {
    return this.parent.map((_, i) => this.root(i));
  }

  private root(member: number): number {
    let at = member;
    while (this.parent[at] !== at) {
      const grandparent = this.parent[this.parent[at]!]!;
      this.parent[at] = grandparent;
      at = grandparent;
    }
    return at;
  }
}
