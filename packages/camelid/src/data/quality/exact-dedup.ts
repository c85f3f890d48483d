/**
 * Exact deduplication across sources: of rows with the same key, one is kept.
 *
 * Which one: the row of the source that stands first in `priority`; among equals the row that came first. Rows may
 * come in any order. When a better row follows one already kept, the decision says which row it replaces, so a writer
 * that streams must hold back its output until `finish`, or feed sources in order of priority: then nothing is replaced.
 */
import { SettingsError } from "../../errors.js";
import type { Conversation } from "../conversation.js";
import { ContentHasher, type Normalization } from "./content-hash.js";
import { ContentSet } from "./content-set.js";
import { type ConversationKey, keyMessages } from "./conversation-key.js";
import { GrowableUint32, Interner } from "./growable.js";
import { PerSource } from "./per-source.js";

export interface ExactDedupOptions {
  /** Default `conversation`. */
  readonly key?: ConversationKey;
  /** Default `whitespace`: rows that differ in white space or Unicode composition alone are the same. */
  readonly normalization?: Normalization;
  /** Sources, most wanted first; sources not listed rank equally behind them. */
  readonly priority?: readonly string[];
  /** Sources whose rows are always kept, repeats included (identity rows); they win over copies elsewhere. */
  readonly exempt?: readonly string[];
}

/** Rows are numbered from 0 in the order in which they were processed. */
export type ExactDedupDecision =
  | { readonly kept: true; readonly row: number; readonly replaces?: number }
  /** `why`: the winner came earlier, from a source of the same rank, or it comes from a source of higher rank. */
  | {
      readonly kept: false;
      readonly row: number;
      readonly winner: number;
      readonly why: "earlier" | "priority";
    };

export interface ExactDedupSummary {
  readonly key: ConversationKey;
  readonly normalization: Normalization;
  readonly priority: readonly string[];
  readonly rows: number;
  readonly kept: number;
  readonly removed: number;
  /** Kept because the key is empty or absent: nothing to compare. */
  readonly withoutKey: number;
  readonly perSource: Record<string, { rows: number; removed: number; withoutKey: number; exempt: number }>;
  /** Which source lost how many rows to which, most first. */
  readonly pairs: readonly { readonly winner: string; readonly loser: string; readonly rows: number }[];
}

/** Removed rows in ascending order, and the row that stayed in place of each. Not JSON: two numbers a removed row. */
export interface RemovedRows {
  readonly rows: Uint32Array;
  readonly winners: Uint32Array;
}

export class ExactDeduplicator {
  private readonly key: ConversationKey;
  private readonly hasher: ContentHasher;
  private readonly ranks: ReadonlyMap<string, number>;
  private readonly exempt: ReadonlySet<string>;
  private readonly seen = new ContentSet();
  private readonly sources = new Interner();
  /** Per entry of `seen`: the row that holds it now, and its source. */
  private readonly holderRows = new GrowableUint32();
  private readonly holderSources = new GrowableUint32();
  /** Per removed row: itself, its source and the entry it lost. The entry's holder may still change. */
  private readonly removed = {
    rows: new GrowableUint32(),
    sources: new GrowableUint32(),
    entries: new GrowableUint32(),
  };
  private readonly perSource = new PerSource(() => ({ rows: 0, removed: 0, withoutKey: 0, exempt: 0 }));
  private rows = 0;

  constructor(private readonly options: ExactDedupOptions = {}) {
    this.key = options.key ?? "conversation";
    this.hasher = new ContentHasher(options.normalization ?? "whitespace");
    this.exempt = new Set(options.exempt);
    this.ranks = sourceRanks(options.priority ?? []);
  }

  process(conversation: Conversation): ExactDedupDecision {
    const row = this.rows++;
    const counts = this.perSource.of(conversation.dataset);
    counts.rows++;
    if (!this.hasher.update(keyMessages(conversation, this.key))) {
      counts.withoutKey++;
      return { kept: true, row };
    }
    const source = this.sources.id(conversation.dataset);
    const size = this.seen.size;
    const entry = this.seen.add(this.hasher.hash);
    if (entry === size) {
      this.holderRows.push(row);
      this.holderSources.push(source);
      if (this.exempt.has(conversation.dataset)) counts.exempt++;
      return { kept: true, row };
    }

    const holder = this.holderRows.data[entry]!;
    const holderSource = this.holderSources.data[entry]!;
    if (this.exempt.has(conversation.dataset)) {
      counts.exempt++;
      if (this.exempt.has(this.sources.names[holderSource]!)) return { kept: true, row };
    } else if (this.rank(source) >= this.rank(holderSource)) {
      this.remove(row, source, entry);
      const why = this.rank(source) > this.rank(holderSource) ? "priority" : "earlier";
      return { kept: false, row, winner: holder, why };
    }
    this.remove(holder, holderSource, entry);
    this.holderRows.data[entry] = row;
    this.holderSources.data[entry] = source;
    return { kept: true, row, replaces: holder };
  }

  /** Final decisions, after replacements: what a second pass over the rows needs. */
  removedRows(): RemovedRows {
    const { rows, entries } = this.removed;
    const order = Uint32Array.from({ length: rows.length }, (_, i) => i).sort(
      (a, b) => rows.data[a]! - rows.data[b]!,
    );
    return {
      rows: order.map((i) => rows.data[i]!),
      winners: order.map((i) => this.holderRows.data[entries.data[i]!]!),
    };
  }

  finish(): ExactDedupSummary {
    const removed = this.removed.rows.length;
    return {
      key: this.key,
      normalization: this.hasher.normalization,
      priority: this.options.priority ?? [],
      rows: this.rows,
      kept: this.rows - removed,
      removed,
      withoutKey: this.perSource.sum((counts) => counts.withoutKey),
      perSource: this.perSource.toObject(),
      pairs: this.pairs(),
    };
  }

  /** Exempt sources rank before all others, unlisted ones after. */
  private rank(source: number): number {
    const name = this.sources.names[source]!;
    return this.exempt.has(name) ? -1 : (this.ranks.get(name) ?? this.ranks.size);
  }

  private remove(row: number, source: number, entry: number): void {
    this.removed.rows.push(row);
    this.removed.sources.push(source);
    this.removed.entries.push(entry);
    this.perSource.of(this.sources.names[source]!).removed++;
  }

  private pairs(): ExactDedupSummary["pairs"] {
    const { names } = this.sources;
    const counts = new Map<number, number>();
    for (let i = 0; i < this.removed.rows.length; i++) {
      const winner = this.holderSources.data[this.removed.entries.data[i]!]!;
      const pair = winner * names.length + this.removed.sources.data[i]!;
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    return [...counts]
      .map(([pair, rows]) => ({
        winner: names[Math.floor(pair / names.length)]!,
        loser: names[pair % names.length]!,
        rows,
      }))
      .sort((a, b) => b.rows - a.rows);
  }
}

/** @throws {SettingsError} when a source is listed twice */
export function sourceRanks(priority: readonly string[]): Map<string, number> {
  const ranks = new Map(priority.map((source, i) => [source, i]));
  if (ranks.size < priority.length) {
    throw new SettingsError("ERR_DEDUP_PRIORITY", "a source stands twice in the order of priority.", {
      where: `priority: ${priority.join(", ")}`,
      fix: "list every source once, most wanted first.",
    });
  }
  return ranks;
}
