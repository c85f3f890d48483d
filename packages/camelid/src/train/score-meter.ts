/** What a step of a reward model reports, summed over its pairs. Sums stay on the device until the step is over. */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { World } from "../parallel/world.js";
import type { PairScores } from "./losses/reward.js";

const NAMES = ["loss", "rewards/chosen", "rewards/rejected", "accuracy", "margin", "mean_reward"] as const;

export class ScoreMeter implements Disposable {
  /** [names and pairs] float64 */
  readonly #sums: Tensor;
  readonly #world: World | undefined;

  /** @param world whose ranks have their own part of the pairs each; left out, this process has all */
  constructor(device: Device, world?: World) {
    this.#world = world;
    // Apple's GPUs have no float64.
    const dtype = device === "mps" ? "float32" : "float64";
    this.#sums = torch.zeros([NAMES.length + 1], { dtype, device });
  }

  /** @param losses [pairs] */
  add({ chosen, rejected }: PairScores, losses: Tensor): void {
    using _ = torch.tensorScope();
    const { dtype } = this.#sums;
    const [good, bad] = [chosen.detach(), rejected.detach()];
    const wins = good.gt(bad); // a tie is no win
    const mean = good.add(bad).div(2);
    const columns = [losses.detach(), good, bad, wins, good.sub(bad), mean, torch.onesLike(good)];
    this.#sums.add_(torch.stack(columns.map((column) => column.to({ dtype }).sum())));
  }

  /** Reads the sums, of all ranks, and starts over. TRL's names; each a mean over pairs, `mean_reward` over both answers. */
  take(): { loss: number; metrics: Record<string, number> } {
    this.#world?.sum(this.#sums);
    const sums = this.#sums.toArray();
    const pairs = sums.pop()!;
    this.#sums.zero_();
    const { loss, ...metrics } = Object.fromEntries(NAMES.map((name, i) => [name, sums[i]! / pairs]));
    return { loss: loss!, metrics };
  }

  [Symbol.dispose](): void {
    this.#sums.dispose();
  }
}
