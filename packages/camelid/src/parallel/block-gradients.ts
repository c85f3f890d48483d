/**
 * Gradients of weights in parts: when a backward pass leaves a block, its gradients are summed on the ranks that own the weights, and
 * freed everywhere else. They travel in their own memory, while the block below is computed.
 */
import type { Collective, ProcessGroup, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { Piece, ShardedBlocks } from "./sharded-blocks.js";

export class BlockGradients implements Disposable {
  readonly #group: ProcessGroup;
  readonly #blocks: ShardedBlocks;
  /** Of this rank's own weights, over the passes of the step. */
  readonly #sums = new Map<Tensor, Tensor>();
  #sent: { piece: Piece; gradient: Tensor; sum: Collective }[] = [];
  #isInStep = false;

  constructor(group: ProcessGroup, blocks: ShardedBlocks) {
    this.#group = group;
    this.#blocks = blocks;
    blocks.onLeave = (block) => this.#send(block);
  }

  begin(): void {
    this.#isInStep = true;
  }

  /** Leaves in `.grad` of this rank's own weights the sum over all ranks and passes. */
  end(): void {
    this.#receive();
    this.#isInStep = false;
    for (const [tensor, sum] of this.#sums) {
      tensor.grad = sum;
      sum.dispose();
    }
    this.#sums.clear();
  }

  #send(block: readonly Piece[]): void {
    if (!this.#isInStep) return; // somebody looks at gradients between two steps
    this.#receive(); // those of the block above
    for (const piece of block) {
      const { tensor, owner } = piece;
      if (!tensor.requiresGrad) continue;
      const gradient = torch.outsideScopes(() => tensor.grad ?? torch.zerosLike(tensor));
      tensor.grad = undefined;
      this.#sent.push({ piece, gradient, sum: this.#group.reduce(gradient, owner) });
    }
  }

  #receive(): void {
    for (const { piece, gradient, sum } of this.#sent.splice(0)) {
      sum.wait();
      const before = this.#sums.get(piece.tensor);
      if (piece.owner !== this.#group.rank) gradient.dispose();
      else if (before === undefined) this.#sums.set(piece.tensor, gradient);
      else {
        torch.noGrad(() => before.add_(gradient));
        gradient.dispose();
      }
    }
  }

  [Symbol.dispose](): void {
    this.#blocks.onLeave = undefined;
    for (const { gradient } of this.#sent) gradient.dispose();
    for (const sum of this.#sums.values()) sum.dispose();
  }
}
