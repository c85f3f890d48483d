/** What a KTO step reports, summed over its rows. Sums stay on the device until the step is over. */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { trainedTokens } from "../data/collate.js";
import type { JudgedRow } from "../data/judged-rows.js";
import type { World } from "../parallel/world.js";
import type { KtoLoss } from "./losses/kto.js";

export interface JudgedMetrics {
  /** Mean over the step's rows. */
  loss: number;
  trainedTokens: number;
  /**
   * TRL's names: `rewards/chosen`, `logps/chosen` and `lengths/chosen` are means over the desirable rows, `.../rejected` over the
   * others; what a step has no row of is left out. `rewards/accuracies`: share of rows that lie on their side of the baseline.
   */
  metrics: Record<string, number>;
}

const COLUMNS = ["loss", "rewards", "logps", "accuracies"] as const;

export class JudgedMeter implements Disposable {
  /** [2, columns] float64: desirable rows, then the others */
  readonly #sums: Tensor;
  readonly #world: World | undefined;
  /** Rows and trained tokens of both kinds. */
  #counts = [0, 0, 0, 0];

  /** @param world whose ranks have their own part of the rows each; left out, this process has all */
  constructor(device: Device, world?: World) {
    this.#world = world;
    // Apple's GPUs have no float64.
    const dtype = device === "mps" ? "float32" : "float64";
    this.#sums = torch.zeros([2, COLUMNS.length], { dtype, device });
  }

  /** @param policy [rows] log-probabilities, summed over each answer's tokens */
  add(rows: readonly JudgedRow[], policy: Tensor, { losses, rewards, isRight }: KtoLoss): void {
    using _ = torch.tensorScope();
    const { dtype, device } = this.#sums;
    const columns = [losses, rewards, policy, isRight].map((column) => column.detach().to({ dtype }));
    const kinds = torch.tensor(
      BigInt64Array.from(rows, ({ desirable }) => (desirable ? 0n : 1n)),
      { device },
    );
    this.#sums.indexAdd_(0, kinds, torch.stack(columns, 1));
    for (const { desirable, chosen } of rows) {
      const kind = desirable ? 0 : 1;
      this.#counts[kind]!++;
      this.#counts[2 + kind]! += trainedTokens(chosen);
    }
  }

  /** Reads the sums, of all ranks, and starts over. */
  take(): JudgedMetrics {
    this.#world?.sum(this.#sums);
    const [good, bad, goodTokens, badTokens] = (this.#world?.sumNumbers(this.#counts) ?? this.#counts) as [
      ...[number, number, number, number],
    ];
    const sums = this.#sums.toArray();
    const sum = (kind: number, column: (typeof COLUMNS)[number]): number =>
      sums[kind * COLUMNS.length + COLUMNS.indexOf(column)]!;
    const mean = (column: (typeof COLUMNS)[number]): number =>
      (sum(0, column) + sum(1, column)) / (good + bad);
    this.#sums.zero_();
    this.#counts = [0, 0, 0, 0];
    const metrics: Record<string, number> = {};
    const side = (name: string, kind: number, count: number, tokens: number): void => {
      if (count === 0) return;
      metrics[`rewards/${name}`] = sum(kind, "rewards") / count;
      metrics[`logps/${name}`] = sum(kind, "logps") / count;
      metrics[`lengths/${name}`] = tokens / count;
      metrics[`nll/${name}`] = -sum(kind, "logps") / tokens;
    };
    side("chosen", 0, good, goodTokens);
    side("rejected", 1, bad, badTokens);
    if (good > 0 && bad > 0)
      metrics["rewards/margins"] = metrics["rewards/chosen"]! - metrics["rewards/rejected"]!;
    metrics["rewards/accuracies"] = mean("accuracies");
    return { loss: mean("loss"), trainedTokens: goodTokens + badTokens, metrics };
  }

  [Symbol.dispose](): void {
    this.#sums.dispose();
  }
}
