/**
 * Which blocks hold the beginnings of which texts. A node is a block and the tokens in it; the way from the root to it spells
 * the text before them. Nodes that no sequence uses stay as long as their memory is not needed: the least recently used go
 * first.
 */
import { BLOCK_TOKENS, type KvBlocks } from "../model/kv-cache.js";

export interface PrefixNode {
  readonly parent: PrefixNode | undefined;
  readonly key: string;
  /** Up to 16; fewer only at the end of a text. */
  readonly tokens: readonly number[];
  readonly block: number;
  readonly children: Map<string, PrefixNode>;
  /** How many of `tokens` have been computed: the rest is on its way. */
  computed: number;
  /** Sequences that stand on it. */
  users: number;
}

/** A text's tokens and the blocks that hold them. */
export interface Held {
  readonly tokens: readonly number[];
  /** Of all tokens so far, those whose keys and values are in `blocks`. */
  computed: number;
  blocks: number[];
  /** The nodes of the leading blocks; undefined where a block is not in the tree. */
  nodes: (PrefixNode | undefined)[];
}

/** Below this many tokens computing them anew is cheaper than copying their block. */
const WORTH_A_COPY = 4;
/** Children looked at for the longest common beginning: those of one parent mostly begin alike. */
const LOOKED_AT = 16;

export class PrefixTree {
  readonly #blocks: KvBlocks;
  readonly #root: PrefixNode = newNode(undefined, "", [], -1);
  /** Nodes without users, in the order in which they lost the last one; a parent always comes after its children. */
  readonly #idle = new Set<PrefixNode>();

  constructor(blocks: KvBlocks) {
    this.#blocks = blocks;
  }

  /** Blocks that can be had: free ones, and those that only the tree holds. */
  get available(): number {
    return this.#blocks.available + this.#idle.size;
  }

  /**
   * Gives a text the blocks for all its tokens, with as many as possible of the first `most` computed already.
   * @returns `wait` when another sequence is computing a part of them right now, `full` when there is no room
   */
  admit(held: Held, most: number): "ready" | "wait" | "full" {
    const path = this.#path(held.tokens, most);
    if (path === "wait") return "wait";
    const shared = path.nodes.length;
    const total = Math.ceil(held.tokens.length / BLOCK_TOKENS);
    const idle = path.nodes.reduce((count, { users }) => count + (users === 0 ? 1 : 0), 0);
    const room = this.available - idle - (total - shared);
    if (room < 0) return "full";
    // The block to be copied must outlive the making of room; where that is too much to ask, its tokens are computed.
    const partial = room === 0 && path.partial?.node.users === 0 ? undefined : path.partial;
    for (const node of path.nodes) this.#use(node);
    held.nodes = [...path.nodes];
    held.blocks = path.nodes.map(({ block }) => block);
    held.computed = shared * BLOCK_TOKENS;
    for (const block of held.blocks) this.#blocks.hold(block);
    if (partial !== undefined) this.#use(partial.node);
    for (let i = shared; i < total; i++) held.blocks.push(this.take()!);
    if (partial !== undefined) {
      this.#blocks.copy(partial.node.block, held.blocks[shared]!);
      held.computed += partial.count;
      this.#leave(partial.node);
    }
    this.#announce(held, held.tokens.length);
    return "ready";
  }

  /** A block for a text that grows; idle nodes make room. Undefined when all are in use. */
  take(): number | undefined {
    const block = this.#blocks.take();
    if (block !== undefined) return block;
    const [oldest] = this.#idle;
    if (oldest === undefined) return undefined;
    this.#remove(oldest);
    return this.#blocks.take();
  }

  /** More of the text is computed: those who wait for it may have it. */
  advance(held: Held): void {
    held.nodes.forEach((node, i) => {
      if (node !== undefined) {
        node.computed = Math.min(
          node.tokens.length,
          Math.max(node.computed, held.computed - i * BLOCK_TOKENS),
        );
      }
    });
  }

  /** The text needs its blocks no more. What is computed of it stays for others, as long as there is room. */
  release(held: Held): void {
    this.#forgetUnfinished(held);
    this.#announce(held, held.computed);
    // From the end, so that children become idle before their parents.
    for (let i = held.blocks.length - 1; i >= 0; i--) {
      const node = held.nodes[i];
      if (node !== undefined) this.#leave(node);
      this.#blocks.release(held.blocks[i]!);
    }
    held.blocks = [];
    held.nodes = [];
    held.computed = 0;
  }

  #path(
    tokens: readonly number[],
    most: number,
  ): { nodes: PrefixNode[]; partial: { node: PrefixNode; count: number } | undefined } | "wait" {
    const nodes: PrefixNode[] = [];
    let at = this.#root;
    for (let start = 0; start + BLOCK_TOKENS <= most; start += BLOCK_TOKENS) {
      const next = at.children.get(keyOf(tokens, start, start + BLOCK_TOKENS));
      if (next === undefined) break;
      if (next.computed < BLOCK_TOKENS) return "wait";
      nodes.push(next);
      at = next;
    }
    const start = nodes.length * BLOCK_TOKENS;
    let partial: { node: PrefixNode; count: number } | undefined;
    let seen = 0;
    for (const node of at.children.values()) {
      const count = commonLength(node, tokens, start, most);
      if (count >= WORTH_A_COPY && count > (partial?.count ?? 0)) partial = { node, count };
      if (++seen === LOOKED_AT) break;
    }
    return { nodes, partial };
  }

  /** Nodes for the blocks of the first `length` tokens that have none and whose text no other block holds. */
  #announce(held: Held, length: number): void {
    let parent: PrefixNode = this.#root;
    for (let i = 0; i * BLOCK_TOKENS < length; i++) {
      const own = held.nodes[i];
      if (own !== undefined) {
        parent = own;
        continue;
      }
      const start = i * BLOCK_TOKENS;
      const end = Math.min(start + BLOCK_TOKENS, length);
      const key = keyOf(held.tokens, start, end);
      if (parent.children.has(key)) return; // somebody computed the same at the same time
      const node = newNode(parent, key, held.tokens.slice(start, end), held.blocks[i]!);
      node.computed = Math.min(end - start, Math.max(0, held.computed - start));
      node.users = 1;
      this.#blocks.hold(node.block);
      parent.children.set(key, node);
      held.nodes[i] = node;
      parent = node;
    }
  }

  /** Takes nodes out that promise what was not computed, or of which the block holds more by now. */
  #forgetUnfinished(held: Held): void {
    for (let i = held.nodes.length - 1; i >= 0; i--) {
      const node = held.nodes[i];
      if (node === undefined) continue;
      const here = Math.min(BLOCK_TOKENS, held.computed - i * BLOCK_TOKENS);
      const isWhole = node.computed === node.tokens.length && here <= node.tokens.length;
      if (isWhole || node.users > 1 || node.children.size > 0) continue;
      node.parent!.children.delete(node.key);
      this.#blocks.release(node.block);
      held.nodes[i] = undefined;
    }
  }

  #use(node: PrefixNode): void {
    if (node.users++ === 0) this.#idle.delete(node);
  }

  #leave(node: PrefixNode): void {
    if (--node.users === 0) this.#idle.add(node);
  }

  #remove(node: PrefixNode): void {
    this.#idle.delete(node);
    node.parent!.children.delete(node.key);
    this.#blocks.release(node.block);
  }
}

function newNode(
  parent: PrefixNode | undefined,
  key: string,
  tokens: readonly number[],
  block: number,
): PrefixNode {
  return { parent, key, tokens, block, children: new Map(), computed: 0, users: 0 };
}

function keyOf(tokens: readonly number[], start: number, end: number): string {
  return tokens.slice(start, end).join();
}

/** How many computed tokens of a node continue a text from `start` on, up to `most`. */
function commonLength(node: PrefixNode, tokens: readonly number[], start: number, most: number): number {
  const end = Math.min(node.computed, most - start);
  let count = 0;
  while (count < end && node.tokens[count] === tokens[start + count]) count++;
  return count;
}
