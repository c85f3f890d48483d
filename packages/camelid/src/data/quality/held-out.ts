/**
 * A held-out split that no duplicate crosses.
 *
 * Whether a cluster of duplicates is held out is decided by the hash of its representative, which is the member with
 * the least content key, and a seed: not by row numbers. So the split does not change when rows are added, removed or
 * reordered elsewhere, and two mixtures that share rows agree on them. With a `fraction` of 0.01 about 1 % of all
 * clusters are held out; raising the fraction only adds rows.
 */
import { SettingsError } from "../../errors.js";
import type { Conversation } from "../conversation.js";
import { ContentHasher, type Normalization } from "./content-hash.js";
import { type ConversationKey, keyMessages } from "./conversation-key.js";
import { GrowableUint32 } from "./growable.js";
import { PerSource } from "./per-source.js";
import { mix32 } from "./word-scanner.js";

export interface HeldOutOptions {
  /** Of clusters, in [0, 1]. */
  readonly fraction: number;
  readonly seed?: number;
  /** What makes rows the same when there are no clusters; as in exact deduplication. */
  readonly key?: ConversationKey;
  readonly normalization?: Normalization;
}

export interface HeldOutSummary {
  readonly fraction: number;
  readonly seed: number;
  readonly rows: number;
  readonly heldOut: number;
  /** Rows held out only because a duplicate of theirs is. */
  readonly movedByClusters: number;
  readonly perSource: Record<string, { rows: number; heldOut: number }>;
}

export class HeldOutSplit {
  private readonly hasher: ContentHasher;
  private readonly keys = new GrowableUint32();
  private readonly sources: string[] = [];
  private readonly seed: number;

  constructor(private readonly options: HeldOutOptions) {
    if (!(options.fraction >= 0 && options.fraction <= 1)) {
      throw new SettingsError("ERR_HELD_OUT_FRACTION", `the held-out fraction is ${options.fraction}.`, {
        fix: "give a number from 0 to 1, for example 0.01.",
      });
    }
    this.seed = options.seed ?? 0;
    this.hasher = new ContentHasher(options.normalization ?? "whitespace");
  }

  /** Decision by the row's own content: final when `finish` is called without clusters. */
  process(row: Conversation): boolean {
    const messages = keyMessages(row, this.options.key ?? "conversation");
    this.hasher.update(messages.length > 0 ? messages : row.messages);
    for (const word of this.hasher.hash) this.keys.push(word);
    this.sources.push(row.dataset);
    return this.decide(this.sources.length - 1);
  }

  /**
   * @param clusterOf per processed row, in order, the number of its cluster: `clusterOf` of near-deduplication
   * @returns per row 1 when held out, and a summary
   */
  finish(clusterOf?: Uint32Array): { heldOut: Uint8Array; summary: HeldOutSummary } {
    const rows = this.sources.length;
    if (clusterOf !== undefined && clusterOf.length !== rows) {
      throw new RangeError(`${clusterOf.length} clusters for ${rows} rows`);
    }
    const representatives = new Map<number, number>();
    clusterOf?.forEach((cluster, row) => {
      const representative = representatives.get(cluster);
      if (representative === undefined || this.isLess(row, representative)) representatives.set(cluster, row);
    });
    const perSource = new PerSource(() => ({ rows: 0, heldOut: 0 }));
    const heldOut = new Uint8Array(rows);
    let movedByClusters = 0;
    for (let row = 0; row < rows; row++) {
      const decision = this.decide(clusterOf === undefined ? row : representatives.get(clusterOf[row]!)!);
      const counts = perSource.of(this.sources[row]!);
      counts.rows++;
      if (!decision) continue;
      heldOut[row] = 1;
      counts.heldOut++;
      if (!this.decide(row)) movedByClusters++;
    }
    const summary = {
      fraction: this.options.fraction,
      seed: this.seed,
      rows,
      heldOut: perSource.sum((counts) => counts.heldOut),
      movedByClusters,
      perSource: perSource.toObject(),
    };
    return { heldOut, summary };
  }

  /** A 53-bit number from key and seed, compared with the fraction. */
  private decide(row: number): boolean {
    const { data } = this.keys;
    const at = 4 * row;
    const high = mix32(data[at]! ^ mix32(data[at + 1]! ^ mix32(this.seed | 0)));
    const low = mix32(data[at + 2]! ^ mix32(data[at + 3]! ^ high));
    return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53 < this.options.fraction;
  }

  private isLess(a: number, b: number): boolean {
    const { data } = this.keys;
    for (let i = 0; i < 4; i++) {
      if (data[4 * a + i] !== data[4 * b + i]) return data[4 * a + i]! < data[4 * b + i]!;
    }
    return false;
  }
}
