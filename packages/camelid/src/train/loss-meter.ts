/** Losses by source over one optimizer step. Sums stay on the device until the step is over. */
import type { Device, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { Targets } from "../data/collate.js";
import type { World } from "../parallel/world.js";

export interface StepLosses {
  /** Nats per trained token. */
  loss: number;
  trainedTokens: number;
  sources: Record<string, { loss: number; trained_tokens: number }>;
}

export class LossMeter implements Disposable {
  readonly #names: readonly string[];
  /** [sources] float64: sum of -log p, and number of tokens */
  readonly #sums: Tensor;
  readonly #counts: Tensor;
  readonly #world: World | undefined;

  /** @param world whose ranks have their own part of the rows each; left out, this process has all */
  constructor(names: readonly string[], device: Device, world?: World) {
    this.#names = names;
    this.#world = world;
    // Apple's GPUs have no float64.
    const dtype = device === "mps" ? "float32" : "float64";
    this.#sums = torch.zeros([names.length], { dtype, device });
    this.#counts = torch.zeros([names.length], { dtype, device });
  }

  sourceNumber(name: string): number {
    return this.#names.indexOf(name);
  }

  /** @param logps [trained] log-probabilities of the targets' labels */
  add(logps: Tensor, targets: Targets): void {
    using _ = torch.tensorScope();
    const dtype = this.#sums.dtype;
    this.#sums.indexAdd_(0, targets.sources, logps.neg().to({ dtype }));
    this.#counts.indexAdd_(0, targets.sources, torch.onesLike(logps, { dtype }));
  }

  /** Reads the sums, of all ranks, and starts over. */
  take(): StepLosses {
    this.#world?.sum(this.#sums);
    this.#world?.sum(this.#counts);
    const sums = this.#sums.toArray();
    const counts = this.#counts.toArray();
    this.#sums.zero_();
    this.#counts.zero_();
    const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
    const sources: StepLosses["sources"] = {};
    this.#names.forEach((name, i) => {
      if (counts[i]! > 0) sources[name] = { loss: sums[i]! / counts[i]!, trained_tokens: counts[i]! };
    });
    return { loss: total(sums) / total(counts), trainedTokens: total(counts), sources };
  }

  [Symbol.dispose](): void {
    this.#sums.dispose();
    this.#counts.dispose();
  }
}
