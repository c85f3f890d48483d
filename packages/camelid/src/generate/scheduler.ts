/**
 * Who computes what in the next step. Sequences join and leave between any two steps: those in decoding get their one token
 * first, so a long prompt never stalls them; what is left of the step goes to prompts, in order of arrival.
 */
import type { CachedRow } from "../model/kv-cache.js";
import { BLOCK_TOKENS } from "../model/kv-cache.js";
import type { Held, PrefixTree } from "./prefix-tree.js";

/** A text under way. */
export interface Sequence extends Held {
  /** Prompt and what was generated so far. */
  readonly tokens: number[];
  /** Of the first tokens, how many need not be computed if the cache has them: the output of the others is wanted. */
  readonly reusable: () => number;
}

export interface PlannedRow<S> extends CachedRow {
  sequence: S;
}

export interface SchedulerLimits {
  maxSequences: number;
  maxStepTokens: number;
}

export class Scheduler<S extends Sequence> {
  readonly #tree: PrefixTree;
  readonly #limits: SchedulerLimits;
  /** In order of arrival. */
  #waiting: S[] = [];
  /** In order of admission: the first is never put back, so that everything ends some time. */
  #running: S[] = [];
  reusedTokens = 0;

  constructor(tree: PrefixTree, limits: SchedulerLimits) {
    this.#tree = tree;
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): readonly S[] {
    return this.#running;
  }

  get isIdle(): boolean {
    return this.#waiting.length + this.#running.length === 0;
  }

  add(sequence: S): void {
    this.#waiting.push(sequence);
  }

  /** Takes a sequence out, finished or not; its memory is free at once. */
  remove(sequence: S): void {
    const isOther = (other: S): boolean => other !== sequence;
    if (this.#running.includes(sequence)) {
      this.#running = this.#running.filter(isOther);
      this.#tree.release(sequence);
    } else {
      this.#waiting = this.#waiting.filter(isOther);
    }
  }

  /** Rows of the next step. Empty only when there is nothing to do. */
  plan(): PlannedRow<S>[] {
    const rows: PlannedRow<S>[] = [];
    let budget = this.#limits.maxStepTokens;
    const add = (sequence: S): void => {
      const count = Math.min(budget, sequence.tokens.length - sequence.computed);
      if (count === 0) return;
      budget -= count;
      rows.push({ sequence, count, position: sequence.computed, blocks: sequence.blocks });
    };
    const isDecoding = ({ tokens, computed }: S): boolean => tokens.length - computed === 1;
    for (const sequence of this.#running.filter(isDecoding)) {
      if (this.#running.includes(sequence) && this.#makeRoom(sequence)) add(sequence);
    }
    for (const sequence of this.#running) if (!isDecoding(sequence)) add(sequence);
    // A sequence that waits for another's prompt lets others pass; one that waits for room does not, or it might wait for ever.
    let passed = 0;
    while (budget > 0 && passed < this.#waiting.length && passed <= 2 * this.#limits.maxSequences) {
      if (this.#running.length >= this.#limits.maxSequences) break;
      const next = this.#waiting[passed]!;
      const admission = this.#tree.admit(next, next.reusable());
      if (admission === "full") break;
      if (admission === "wait") {
        passed++;
        continue;
      }
      this.#waiting.splice(passed, 1);
      this.#running.push(next);
      this.reusedTokens += next.computed;
      add(next);
    }
    return rows;
  }

  /** After the step: the rows' tokens are in the cache. */
  advance(rows: readonly PlannedRow<S>[]): void {
    for (const { sequence, count } of rows) {
      sequence.computed += count;
      this.#tree.advance(sequence);
    }
  }

  /**
   * Room for the token that a sequence is about to compute. Where there is none, the youngest sequences give way: they
   * wait again, and compute anew what they had, which gives the same numbers.
   * @returns false when it was the youngest itself
   */
  #makeRoom(sequence: S): boolean {
    while (sequence.blocks.length * BLOCK_TOKENS < sequence.tokens.length) {
      const block = this.#tree.take();
      if (block !== undefined) {
        sequence.blocks.push(block);
        continue;
      }
      const youngest = this.#running.pop()!;
      this.#tree.release(youngest);
      this.#waiting.unshift(youngest);
      if (youngest === sequence) return false;
    }
    return true;
  }
}
