/** What a DPO step reports, summed over its pairs. Sums stay on the device until the step is over. */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { trainedTokens } from "../data/collate.js";
import type { PairRow } from "../data/pair-rows.js";
import type { World } from "../parallel/world.js";
import type { DpoLoss, PairLogps } from "./losses/dpo.js";

export interface PairMetrics {
  /** Mean over the step's pairs. */
  loss: number;
  trainedTokens: number;
  /** TRL's names; each a mean over pairs. `lengths/...` count the trained tokens of the data's answers. */
  metrics: Record<string, number>;
}

const NAMES = [
  "loss",
  "rewards/chosen",
  "rewards/rejected",
  "rewards/accuracies",
  "rewards/margins",
  "logps/chosen",
  "logps/rejected",
] as const;

export class PairMeter implements Disposable {
  /** [names] float64 */
  readonly #sums: Tensor;
  readonly #world: World | undefined;
  #pairs = 0;
  #chosenTokens = 0;
  #rejectedTokens = 0;

  /** @param world whose ranks have their own part of the pairs each; left out, this process has all */
  constructor(device: Device, world?: World) {
    this.#world = world;
    // Apple's GPUs have no float64.
    this.#sums = torch.zeros([NAMES.length], { dtype: device === "mps" ? "float32" : "float64", device });
  }

  add(pairs: readonly PairRow[], policy: PairLogps, loss: DpoLoss): void {
    using _ = torch.tensorScope();
    const { losses, chosenRewards, rejectedRewards } = loss;
    const wins = chosenRewards.gt(rejectedRewards); // a tie is no win
    const margins = chosenRewards.sub(rejectedRewards);
    const columns = [losses, chosenRewards, rejectedRewards, wins, margins, policy.chosen, policy.rejected];
    const { dtype } = this.#sums;
    this.#sums.add_(torch.stack(columns.map((column) => column.detach().to({ dtype }).sum())));
    for (const { chosen, rejected } of pairs) {
      this.#pairs++;
      this.#chosenTokens += trainedTokens(chosen);
      this.#rejectedTokens += trainedTokens(rejected);
    }
  }

  /** Reads the sums, of all ranks, and starts over. */
  take(): PairMetrics {
    this.#world?.sum(this.#sums);
    const here = [this.#pairs, this.#chosenTokens, this.#rejectedTokens];
    const [pairs, chosenTokens, rejectedTokens] = (this.#world?.sumNumbers(here) ?? here) as [
      number,
      number,
      number,
    ];
    const means = this.#sums.toArray().map((sum) => sum / pairs);
    const metrics = Object.fromEntries(NAMES.map((name, i) => [name, means[i]!]));
    metrics["lengths/chosen"] = chosenTokens / pairs;
    metrics["lengths/rejected"] = rejectedTokens / pairs;
    const trained = chosenTokens + rejectedTokens;
    this.#sums.zero_();
    this.#pairs = this.#chosenTokens = this.#rejectedTokens = 0;
    const { loss, ...rest } = metrics;
    return { loss: loss!, trainedTokens: trained, metrics: rest };
  }

  [Symbol.dispose](): void {
    this.#sums.dispose();
  }
}
