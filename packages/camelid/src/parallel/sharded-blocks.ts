/**
 * A model's blocks whose weights lie on several ranks, each weight whole on one (ZeRO stage 3, Rajbhandari et al. 2020,
 * https://arxiv.org/abs/1910.02054). Before a block computes its weights are broadcast to all ranks, and afterwards their memory is
 * given back; while one computes the next is on its way. So every pass through the model is a walk that all ranks take together:
 *
 * - Who starts a walk announces it. Who has nothing to compute takes part in the walks of others (`serve`), until nobody has.
 * - All that differs between ranks - other numbers of micro-batches, answers that rank 0 generates alone - ends at the next place
 *   where all meet, and the world serves there (`World.meet`): nobody has to think of it.
 */
import type { Collective, ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { TrainingError } from "../errors.js";
import type { World } from "./world.js";

/** A weight, and the rank that has it. */
export interface Piece {
  readonly tensor: Tensor;
  readonly owner: number;
}

/** What is announced: nothing to do, all blocks upwards, all downwards, or `ONE` and the number of one block. */
const [IDLE, UP, DOWN, ONE] = [0, 1, 2, 3];

export class ShardedBlocks implements Disposable {
  readonly blocks: readonly (readonly Piece[])[];
  /** Which rank updates which weight, where the weights are trained: of those in blocks, and of those that every rank has. */
  readonly owners: ReadonlyMap<Tensor, number>;
  /** Called by all ranks at the same place of a downward walk: the gradients of this block are complete. */
  onLeave: ((block: readonly Piece[]) => void) | undefined;
  readonly #group: ProcessGroup;
  readonly #blockOf: ReadonlyMap<Tensor, number>;
  readonly #stopServing: () => void;
  #walk: { kind: number; blocks: readonly number[]; at: number } | undefined;
  /** Blocks in memory, and the broadcasts to wait for. */
  readonly #filled = new Map<number, Collective[]>();

  /**
   * @param blocks from bottom to top; those of other ranks have no memory yet (`torch.dropStorage`)
   * @param whole weights that every rank has
   */
  constructor(
    world: Pick<World, "whileWaiting">,
    group: ProcessGroup,
    blocks: readonly (readonly Piece[])[],
    whole: readonly Piece[] = [],
  ) {
    this.blocks = blocks;
    this.#group = group;
    this.#blockOf = new Map(blocks.flatMap((pieces, i) => pieces.map(({ tensor }) => [tensor, i] as const)));
    this.owners = new Map([...blocks.flat(), ...whole].map(({ tensor, owner }) => [tensor, owner] as const));
    for (const tensor of this.#blockOf.keys()) blocksOfWeights.set(tensor, this);
    this.#stopServing = world.whileWaiting(() => this.#serve());
  }

  /** Whether this rank always has the weight. */
  isHere(tensor: Tensor): boolean {
    return !this.#blockOf.has(tensor) || this.owners.get(tensor) === this.#group.rank;
  }

  /** A pass comes to a block, whose weights are there until it comes to the next. @param x the block's input @returns x */
  enter(block: number, x: Tensor): Tensor {
    if (block === 0) this.#begin(UP);
    this.#goTo(block);
    return block === 0 ? onBackward(x, () => this.#complete()) : x;
  }

  /** @param x the block's output @returns x, through which the backward pass finds the block in memory again */
  leave(block: number, x: Tensor): Tensor {
    return onBackward(x, () => {
      const walk = this.#walk;
      const goesOn = walk?.kind === DOWN && block < walk.blocks[walk.at]!;
      if (!goesOn) this.#begin(DOWN);
      this.#goTo(block);
    });
  }

  /** See `hold` below. */
  hold(tensor: Tensor): void {
    const block = this.#blockOf.get(tensor);
    const walk = this.#walk;
    if (block === undefined || walk?.blocks[walk.at] === block) return;
    this.#begin(ONE! + block);
    this.#goTo(block);
  }

  #begin(kind: number): void {
    this.#complete();
    this.#announce(kind);
    this.#walk = { kind, blocks: this.#blocksOf(kind), at: -1 };
  }

  /** Whoever has nothing to compute takes part in what others do. Afterwards each rank has its own weights alone. */
  #serve(): void {
    this.#complete();
    for (let kind = this.#announce(IDLE!); kind !== IDLE; kind = this.#announce(IDLE!)) {
      this.#walk = { kind, blocks: this.#blocksOf(kind), at: -1 };
      this.#complete();
    }
    for (const block of this.#filled.keys()) this.#release(block);
  }

  /** @returns what the ranks that do not wait are about to do; `IDLE` when all wait */
  #announce(kind: number): number {
    using _ = torch.tensorScope();
    const both = torch.tensor([kind, kind === IDLE ? Number.NEGATIVE_INFINITY : -kind], { dtype: "float64" });
    this.#group.allReduce(both, "max").wait();
    const [most, least] = both.toArray() as [number, number];
    if (most !== IDLE && most !== -least) throw outOfStep(kind);
    return most;
  }

  #blocksOf(kind: number): readonly number[] {
    const all = [...this.blocks.keys()];
    if (kind === UP) return all;
    return kind === DOWN ? all.reverse() : [kind - ONE!];
  }

  #goTo(block: number): void {
    const walk = this.#walk!;
    while (walk.blocks[walk.at] !== block) this.#step();
  }

  #complete(): void {
    if (this.#walk === undefined) return;
    while (this.#walk.at < this.#walk.blocks.length - 1) this.#step();
    this.#finish();
    this.#walk = undefined;
  }

  #step(): void {
    const walk = this.#walk!;
    this.#finish();
    const block = walk.blocks[++walk.at]!;
    const next = walk.blocks[walk.at + 1];
    this.#fill(block);
    torch.span("fill", () => {
      for (const broadcast of this.#filled.get(block)!.splice(0)) broadcast.wait();
    });
    for (const other of this.#filled.keys()) if (other !== block && other !== next) this.#release(other);
    if (next !== undefined) this.#fill(next);
  }

  #finish(): void {
    const { kind, blocks, at } = this.#walk!;
    if (kind !== DOWN || at < 0) return;
    const pieces = this.blocks[blocks[at]!]!;
    this.onLeave?.(pieces);
    for (const { tensor } of pieces) if (!this.isHere(tensor)) tensor.grad = undefined;
  }

  #fill(block: number): void {
    if (this.#filled.has(block)) return;
    const broadcasts = this.blocks[block]!.map(({ tensor, owner }) => {
      if (!this.isHere(tensor)) torch.takeStorage(tensor);
      return this.#group.broadcast(tensor, owner);
    });
    this.#filled.set(block, broadcasts);
  }

  #release(block: number): void {
    this.#filled.delete(block);
    for (const { tensor } of this.blocks[block]!) if (!this.isHere(tensor)) torch.dropStorage(tensor);
  }

  [Symbol.dispose](): void {
    this.#stopServing();
  }
}

const blocksOfWeights = new WeakMap<Tensor, ShardedBlocks>();

/** The blocks that a weight lies in, when it does not lie on every rank. */
export function shardedBlocksOf(weight: Tensor): ShardedBlocks | undefined {
  return blocksOfWeights.get(weight);
}

/**
 * To be called before a weight is read outside of a pass: it is then there until another block's is asked for, or a pass begins. The
 * other ranks must be waiting (`World.meet`), or ask for the same. Does nothing for a weight that is not in parts.
 */
export function hold(weight: Tensor): void {
  shardedBlocksOf(weight)?.hold(weight);
}

/** The same x; `act` runs when the backward pass has x's gradient, before it goes on below. */
function onBackward(x: Tensor, act: () => void): Tensor {
  return torch.customFunction({
    inputs: [x],
    forward: () => x,
    backward: (gradient) => {
      act();
      return [gradient];
    },
  });
}

function outOfStep(kind: number): TrainingError {
  const words = kind === UP ? "a forward pass" : kind === DOWN ? "a backward pass" : "reading a weight";
  return new TrainingError(
    "ERR_RANKS_OUT_OF_STEP",
    `this rank begins ${words}, another one something else.`,
    {
      where: "shard parameters",
      fix: "This is a bug in Camelid, or in a recipe of your own: between two places where ranks meet, all that compute do the same kinds of passes.",
    },
  );
}
