/**
 * Memory for keys and values of the tokens seen so far, in blocks of 16 tokens. A sequence has a table of blocks, which may
 * lie anywhere and belong to several sequences; so beginnings are shared, sequences grow without being moved, and what one
 * gives back fits every other. A block holds its tokens for all layers.
 */
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { InternalError } from "../errors.js";
import type { ModelConfig } from "./model-config.js";

/** Tokens of a block: one vector of 16 numbers for each dimension of a key. */
export const BLOCK_TOKENS = 16;

/** Blocks that `tokens` of one sequence fill. */
export const blocksFor = (tokens: number): number => Math.ceil(tokens / BLOCK_TOKENS);

/** What the model sees of it in one forward pass. */
export interface KeyValueCache {
  /**
   * Takes a layer's new keys and values, and attends each new token over its own sequence up to itself.
   * @param query  [tokens, heads, headDim]; rows lie end to end, tokens behind the last row are padding and get zeros
   * @param key    [tokens, kvHeads, headDim]
   * @param value  [tokens, kvHeads, headDim]
   * @param window how many tokens back a token sees, itself included; everything when left out
   * @returns [tokens, heads, headDim]
   */
  attend(layer: number, query: Tensor, key: Tensor, value: Tensor, window?: number): Tensor;
}

/** New tokens of one sequence. */
export interface CachedRow {
  /** Blocks of the sequence in order; they hold room for the new tokens. */
  blocks: readonly number[];
  /** Tokens that are in the cache already. */
  position: number;
  count: number;
}

/** Slabs of about this size are taken from the system as blocks are needed. */
const SLAB_BYTES = 32 * 2 ** 20;

export class KvBlocks implements Disposable {
  readonly blockBytes: number;
  /** Blocks that the budget allows. */
  readonly numBlocks: number;
  readonly #shape: readonly number[];
  readonly #slabBlocks: number;
  readonly #options: { device: Device; dtype: DType };
  readonly #masked: boolean;
  readonly #slabs: Tensor[] = [];
  readonly #free: number[] = [];
  /** How many hold each block; 0 is free. */
  readonly #holders: number[] = [];
  #used = 0;
  #peak = 0;

  /**
   * @param budgetBytes never exceeded; less than a block is room for nothing
   * @param options `masked`: some readers read whole blocks and mask what is not there (`fixedRows`); then all lie in one slab, and
   * hold numbers from the beginning
   */
  constructor(
    config: ModelConfig,
    budgetBytes: number,
    options: { device: Device; dtype: DType; masked?: boolean },
  ) {
    const lanes = Math.ceil(config.headDim / 16) * 16;
    this.#shape = [config.numHiddenLayers, 2, config.numKeyValueHeads, BLOCK_TOKENS * lanes];
    this.#options = { device: options.device, dtype: options.dtype };
    this.#masked = options.masked ?? false;
    this.blockBytes = this.#shape.reduce((a, b) => a * b, torch.elementSize(options.dtype));
    this.numBlocks = Math.floor(budgetBytes / this.blockBytes);
    // Only the CPU kernel reads from several slabs; elsewhere all of the budget is one.
    const isKernel =
      options.device === "cpu" && (options.dtype === "float32" || options.dtype === "bfloat16");
    const several = isKernel && !this.#masked;
    const wanted = several ? Math.max(1, Math.floor(SLAB_BYTES / this.blockBytes)) : this.numBlocks;
    this.#slabBlocks = Math.min(this.numBlocks, wanted);
  }

  /** Blocks that can be taken now. */
  get available(): number {
    return this.numBlocks - this.#used;
  }

  get usedBytes(): number {
    return this.#used * this.blockBytes;
  }

  /** The most that was ever in use. */
  get peakBytes(): number {
    return this.#peak * this.blockBytes;
  }

  /** Taken from the system so far. */
  get reservedBytes(): number {
    return this.#holders.length * this.blockBytes;
  }

  /** A block with one holder; undefined when the budget is used up. */
  take(): number | undefined {
    if (this.#free.length === 0 && !this.#grow()) return undefined;
    const block = this.#free.pop()!;
    this.#holders[block] = 1;
    this.#peak = Math.max(this.#peak, ++this.#used);
    // What the last sequence left may be no numbers, and nothing times that is not nothing.
    if (this.#masked) torch.tensorScope(() => void this.#block(block).zero_());
    return block;
  }

  hold(block: number): void {
    this.#holders[block]!++;
  }

  /** The last holder's release frees the block. */
  release(block: number): void {
    if (--this.#holders[block]! > 0) return;
    this.#used--;
    this.#free.push(block);
  }

  /** Copies all tokens of a block. */
  copy(from: number, to: number): void {
    using _ = torch.tensorScope();
    this.#block(to).copy_(this.#block(from));
  }

  /** To be used inside a tensor scope, which frees its tables. */
  rows(rows: readonly CachedRow[]): KeyValueCache {
    const counts = rows.flatMap(({ count, position, blocks }) => [count, position, blocks.length]);
    const layout = torch.tensor(Int32Array.from(counts), { shape: [rows.length, 3] });
    const tables = torch.tensor(Int32Array.from(rows.flatMap(({ blocks }) => blocks)));
    return {
      attend: (layer, query, key, value, window = 0) =>
        torch.pagedAttention(query, key, value, this.#slabs, layout, tables, layer, window),
    };
  }

  /**
   * One new token of each row, in shapes that do not depend on how much the cache holds (`masked` blocks only).
   * @param tables    [rows, blocks] int64, of equal length: behind a sequence's own blocks any block of the cache
   * @param positions [rows] int64, of the new tokens
   */
  fixedRows(tables: Tensor, positions: Tensor): KeyValueCache {
    const [slab] = this.#slabs;
    if (!this.#masked || slab === undefined)
      throw new InternalError("tables of one length were read from blocks that are not made for it.");
    return {
      attend: (layer, query, key, value, window = 0) =>
        torch.pagedDecode(query, key, value, slab, tables, positions, layer, window),
    };
  }

  #grow(): boolean {
    const start = this.#holders.length;
    const blocks = Math.min(this.#slabBlocks, this.numBlocks - start);
    if (blocks <= 0) return false;
    const make = this.#masked ? torch.zeros : torch.empty;
    this.#slabs.push(make([blocks, ...this.#shape], this.#options));
    for (let i = blocks - 1; i >= 0; i--) {
      this.#holders[start + i] = 0;
      this.#free.push(start + i);
    }
    return true;
  }

  #block(block: number): Tensor {
    return this.#slabs[Math.floor(block / this.#slabBlocks)]!.select(0, block % this.#slabBlocks);
  }

  [Symbol.dispose](): void {
    for (const slab of this.#slabs) slab.dispose();
    this.#slabs.length = 0;
  }
}
