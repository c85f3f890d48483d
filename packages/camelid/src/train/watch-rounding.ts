import type { Tensor } from "@camelid/torch";
import type { Run } from "../run/run.js";
import type { Adamw } from "./optim/adamw.js";
import { UpdateMonitor } from "./optim/update-monitor.js";

/** Above this share, most of what training computes is thrown away. */
const HIGH_SHARE = 0.5;

export interface RoundingWatch extends Disposable {
  /** To be called before an update. */
  remember(): void;
  /**
   * To be called after the update.
   * @returns the metric of the `step-end` event; nothing where the learning rate was 0
   */
  metrics(step: number, learningRate: number): { metrics: Record<string, number> } | undefined;
}

/**
 * In pure bf16, where small updates are rounded away, measures the share of weights that an update left as they were, and
 * raises one warning when it is high at a learning rate near its peak.
 * @param parameters those of the optimizer
 * @returns undefined in other precisions, where updates are not lost
 */
export function watchRounding(
  parameters: ReadonlyMap<string, Tensor>,
  optimizer: Adamw,
  settings: { precision: string; learningRate: number },
  run: Run,
): RoundingWatch | undefined {
  if (settings.precision !== "bf16") return undefined;
  // Of several ranks, one that updates no weight itself has nothing to look at.
  if (optimizer.state().size === 0) return undefined;
  const monitor = new UpdateMonitor(parameters, optimizer);
  let warned = false;
  return {
    remember: () => monitor.remember(),
    metrics(step, learningRate) {
      if (learningRate === 0) return undefined;
      const share = monitor.unchangedShare();
      if (!warned && share > HIGH_SHARE && learningRate > settings.learningRate / 2) {
        warned = true;
        const percent = Math.round(100 * share);
        run.log({
          event: "warning-raised",
          code: "UPDATES_LOST",
          step,
          message: `${percent} % of the weights that this step meant to change kept their bf16 value: the updates are too small for the precision. precision bf16-mixed keeps them.`,
        });
      }
      return { metrics: { "updates/unchanged_share": share } };
    },
    [Symbol.dispose]: () => monitor[Symbol.dispose](),
  };
}
