/**
 * Near-deduplication across sources: rows whose sets of word 5-grams overlap by an estimated Jaccard similarity of 0.8.
 *
 *     process(row)  text -> words -> shingles -> MinHash sketch of 120 bytes      (minhash.ts)
 *     finish()      rows that share a band of their sketches are compared          (similar-pairs.ts)
 *                   similar pairs joined -> clusters; per cluster, which rows stay
 *
 * A *cluster* is all rows connected through similar pairs; the held-out split must not cut one. Connection is not
 * similarity: A ~ B ~ C with A unlike C happens. So a row is *removed* only when it is similar to a row of its cluster
 * that stays, which is named, with the similarity; going through the cluster in order of source priority and arrival,
 * rows that are like no kept row stay.
 *
 * Same rows, same order, same options: same result, on every machine. Memory: 120 bytes a row while reading, at most
 * 40 more in `finish`.
 */
import { SettingsError } from "../../errors.js";
import type { Conversation } from "../conversation.js";
import { type ConversationKey, keyMessages } from "./conversation-key.js";
import { type RemovedRows, sourceRanks } from "./exact-dedup.js";
import { GrowableUint32, Interner } from "./growable.js";
import { equalBytesFor, estimatedJaccard, MinHasher } from "./minhash.js";
import { PerSource } from "./per-source.js";
import { joinSimilarRows } from "./similar-pairs.js";
import { SketchStore } from "./sketch-store.js";
import { WordScanner } from "./word-scanner.js";

export interface NearDedupOptions {
  /** Which text is compared; turn boundaries do not count. Default `conversation`. */
  readonly key?: ConversationKey;
  /** Words in a shingle. Default 5; fewer make short rows that share a phrase similar. */
  readonly shingleWords?: number;
  /** Estimated Jaccard similarity from which two rows are near duplicates. Default 0.8. */
  readonly threshold?: number;
  /**
   * Locality-sensitive hashing: rows are compared when all bytes of one band agree, which two rows of similarity J do
   * with probability 1 - (1 - J^rowsPerBand)^bands: 0.998 at 0.8, 0.92 at 0.7, 0.27 at 0.5 for the default 20 bands of 6.
   * Their product is the size of a sketch in bytes.
   */
  readonly bands?: number;
  readonly rowsPerBand?: number;
  /** Of the hash functions. Default 0. */
  readonly seed?: number;
  /** Sources, most wanted first; among equals the earlier row stays. */
  readonly priority?: readonly string[];
  /** Sources whose rows are never removed; near copies of them elsewhere are. */
  readonly exempt?: readonly string[];
}

export interface NearDedupSummary {
  readonly settings: Required<Omit<NearDedupOptions, "exempt">>;
  readonly rows: number;
  readonly kept: number;
  readonly removed: number;
  /** Rows without a single word: compared with nothing, always kept. */
  readonly withoutWords: number;
  /** Comparisons of two rows that shared a band; a pair that shares several counts for each. */
  readonly comparedPairs: number;
  /** Clusters of two rows or more, the rows in them, and the largest. */
  readonly clusters: { readonly count: number; readonly rows: number; readonly largest: number };
  readonly perSource: Record<string, { rows: number; removed: number; withoutWords: number }>;
  /** Which source lost how many rows to which, most first. */
  readonly pairs: readonly { readonly winner: string; readonly loser: string; readonly rows: number }[];
}

/** Rows are numbered from 0 in the order in which they were processed. */
export interface NearDedupResult {
  /** Plain data for manifest and report. */
  readonly summary: NearDedupSummary;
  /** Per row: the first row of its cluster; itself when it is alone. */
  readonly clusterOf: Uint32Array;
  /** Removed rows ascending, the kept row each is similar to, and their estimated Jaccard similarity. */
  readonly removed: RemovedRows & { readonly similarity: Float32Array };
}

export class NearDeduplicator {
  private readonly settings: NearDedupSummary["settings"];
  private readonly exempt: ReadonlySet<string>;
  private readonly ranks: ReadonlyMap<string, number>;
  private readonly scanner = new WordScanner();
  private readonly hasher: MinHasher;
  private readonly sketches: SketchStore;
  private readonly sources = new Interner();
  private readonly sourceOf = new GrowableUint32();
  private readonly perSource = new PerSource(() => ({ rows: 0, removed: 0, withoutWords: 0 }));

  constructor(options: NearDedupOptions = {}) {
    const { exempt = [], ...rest } = options;
    this.settings = { ...DEFAULTS, ...rest };
    checkSettings(this.settings);
    const { bands, rowsPerBand, shingleWords, seed, priority } = this.settings;
    this.exempt = new Set(exempt);
    this.ranks = sourceRanks(priority);
    this.hasher = new MinHasher(bands * rowsPerBand, shingleWords, seed);
    this.sketches = new SketchStore(bands * rowsPerBand);
  }

  process(row: Conversation): void {
    this.add(row.dataset, this.sketch(row));
  }

  /** The row's sketch; undefined when it has no word. Depends on the row and the options only: any thread may make it. */
  sketch(row: Conversation): Uint8Array | undefined {
    const { scanner, hasher } = this;
    scanner.reset();
    for (const { content } of keyMessages(row, this.settings.key)) scanner.append(content);
    const sketch = new Uint8Array(hasher.size);
    return hasher.sketch(scanner.hashes, scanner.count, sketch, 0) ? sketch : undefined;
  }

  /** Takes the next row as its source and the sketch that `sketch` of the same options made. */
  add(source: string, sketch: Uint8Array | undefined): void {
    const counts = this.perSource.of(source);
    counts.rows++;
    this.sourceOf.push(this.sources.id(source));
    const { bytes, offset } = this.sketches.next();
    if (sketch === undefined) {
      counts.withoutWords++;
      this.sketches.markEmpty();
    } else bytes.set(sketch, offset);
  }

  finish(): NearDedupResult {
    const { threshold, bands, rowsPerBand } = this.settings;
    const joined = joinSimilarRows(this.sketches, { threshold, bands, rowsPerBand });
    const removed = this.chooseRemoved(joined.clusterOf);
    const rows = this.sketches.rows;
    return {
      clusterOf: joined.clusterOf,
      removed,
      summary: {
        settings: this.settings,
        rows,
        kept: rows - removed.rows.length,
        removed: removed.rows.length,
        withoutWords: this.perSource.sum((counts) => counts.withoutWords),
        comparedPairs: joined.comparedPairs,
        clusters: clusterSizes(joined.clusterOf),
        perSource: this.perSource.toObject(),
        pairs: this.pairs(removed),
      },
    };
  }

  private chooseRemoved(clusterOf: Uint32Array): NearDedupResult["removed"] {
    const size = this.sketches.size;
    const enough = equalBytesFor(this.settings.threshold, size);
    const decisions: { row: number; winner: number; similarity: number }[] = [];
    for (const members of clusterMembers(clusterOf)) {
      members.sort((a, b) => this.rank(a) - this.rank(b) || a - b);
      const kept: number[] = [];
      for (const row of members) {
        const [winner, equal] = this.exempt.has(this.sourceName(row)) ? [-1, 0] : this.mostAlike(row, kept);
        if (equal >= enough) decisions.push({ row, winner, similarity: estimatedJaccard(equal, size) });
        else if (kept.length < MAX_KEPT_COMPARED) kept.push(row);
      }
    }
    decisions.sort((a, b) => a.row - b.row);
    for (const { row } of decisions) this.perSource.of(this.sourceName(row)).removed++;
    return {
      rows: Uint32Array.from(decisions, (decision) => decision.row),
      winners: Uint32Array.from(decisions, (decision) => decision.winner),
      similarity: Float32Array.from(decisions, (decision) => decision.similarity),
    };
  }

  /** The first of `kept` with the most equal bytes, and their number. */
  private mostAlike(row: number, kept: readonly number[]): [winner: number, equal: number] {
    let winner = -1;
    let most = 0;
    for (const candidate of kept) {
      const equal = this.sketches.equalBytes(row, candidate, most + 1);
      if (equal > most) {
        winner = candidate;
        most = equal;
      }
    }
    return [winner, most];
  }

  private sourceName(row: number): string {
    return this.sources.names[this.sourceOf.data[row]!]!;
  }

  private rank(row: number): number {
    const name = this.sourceName(row);
    return this.exempt.has(name) ? -1 : (this.ranks.get(name) ?? this.ranks.size);
  }

  private pairs(removed: RemovedRows): NearDedupSummary["pairs"] {
    const counts = new PerSource(() => ({ rows: 0 }));
    removed.rows.forEach((row, i) => {
      counts.of(JSON.stringify([this.sourceName(removed.winners[i]!), this.sourceName(row)])).rows++;
    });
    return [...counts.entries()]
      .map(([pair, { rows }]) => {
        const [winner, loser] = JSON.parse(pair) as [string, string];
        return { winner, loser, rows };
      })
      .sort((a, b) => b.rows - a.rows);
  }
}

const DEFAULTS: NearDedupSummary["settings"] = {
  key: "conversation",
  shingleWords: 5,
  threshold: 0.8,
  bands: 20,
  rowsPerBand: 6,
  seed: 0,
  priority: [],
};

/** A row is compared with at most this many kept rows of its cluster; beyond that, in doubt, rows stay. */
const MAX_KEPT_COMPARED = 1000;

function checkSettings({ threshold, bands, rowsPerBand, shingleWords }: NearDedupSummary["settings"]): void {
  const whole = (value: number, max: number) => Number.isInteger(value) && value >= 1 && value <= max;
  if (
    !(threshold > 0 && threshold <= 1) ||
    !whole(bands, 256) ||
    !whole(rowsPerBand, 64) ||
    !whole(shingleWords, 64)
  ) {
    throw new SettingsError(
      "ERR_NEAR_DEDUP_SETTINGS",
      "near-deduplication was given numbers it cannot use.",
      {
        where: `threshold ${threshold}, bands ${bands}, rowsPerBand ${rowsPerBand}, shingleWords ${shingleWords}`,
        fix: "threshold lies in (0, 1]; bands is a whole number to 256, rowsPerBand and shingleWords to 64.",
      },
    );
  }
}

/** Members of each cluster of two rows or more, ascending; clusters in order of their first row. */
function clusterMembers(clusterOf: Uint32Array): Iterable<number[]> {
  const members = new Map<number, number[]>();
  clusterOf.forEach((first, row) => {
    if (first === row) return; // alone so far, or the first of a cluster that is opened by its second row
    const cluster = members.get(first);
    if (cluster === undefined) members.set(first, [first, row]);
    else cluster.push(row);
  });
  return members.values();
}

function clusterSizes(clusterOf: Uint32Array): NearDedupSummary["clusters"] {
  let count = 0;
  let rows = 0;
  let largest = 0;
  for (const { length } of clusterMembers(clusterOf)) {
    count++;
    rows += length;
    largest = Math.max(largest, length);
  }
  return { count, rows, largest };
}
