/**
 * Updates lost to rounding. A bf16 weight has 8 bits of precision: an update smaller than about 1/256 of it changes nothing,
 * step after step, and no loss curve shows why a model stopped learning. Here a sample of the weights is looked at before
 * and after each update.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { Adamw } from "./adamw.js";

/** Elements looked at per weight tensor, evenly spaced. */
const SAMPLES = 256;

export class UpdateMonitor implements Disposable {
  /** `expAvgSq` is 0, in 8 bits too, where there never was a gradient. */
  readonly #parts: { weight: Tensor; expAvgSq: Tensor; places: Tensor }[] = [];
  /** [samples] fp32: how many weights each sample stands for */
  readonly #shares: Tensor;
  #before: Tensor | undefined;

  /** @param parameters those of the optimizer, by the same names */
  constructor(parameters: ReadonlyMap<string, Tensor>, optimizer: Adamw) {
    const state = optimizer.state();
    const shares: number[] = [];
    for (const [name, weight] of parameters) {
      const expAvgSq = state.get(`exp_avg_sq.${name}`);
      if (expAvgSq === undefined) continue;
      const count = Math.min(SAMPLES, weight.numel);
      const places = BigInt64Array.from({ length: count }, (_, i) =>
        BigInt(Math.floor(((i + 0.5) * weight.numel) / count)),
      );
      this.#parts.push({ weight, expAvgSq, places: torch.tensor(places, { device: weight.device }) });
      for (let i = 0; i < count; i++) shares.push(weight.numel / count);
    }
    const { device } = this.#parts[0]!.weight;
    this.#shares = torch.tensor(shares, { device });
  }

  /** To be called before the update. */
  remember(): void {
    this.#before?.dispose();
    this.#before = this.#read("weight");
  }

  /**
   * To be called after the update.
   * @returns share of the weights that are as before, of all that have had a gradient at some time; NaN when none had
   */
  unchangedShare(): number {
    using _ = torch.tensorScope();
    const meant = this.#read("expAvgSq").ne(0);
    const same = this.#read("weight").eq(this.#before!).logicalAnd(meant);
    const total = (mask: Tensor): number => this.#shares.mul(mask).sum().item();
    return total(same) / total(meant);
  }

  #read(which: "weight" | "expAvgSq"): Tensor {
    return torch.noGrad(() =>
      torch.tensorScope(() =>
        torch.cat(this.#parts.map((part) => part[which].detach().view([-1]).indexSelect(0, part.places))),
      ),
    );
  }

  [Symbol.dispose](): void {
    for (const { places } of this.#parts) places.dispose();
    this.#shares.dispose();
    this.#before?.dispose();
  }
}
