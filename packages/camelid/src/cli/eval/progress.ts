/** Progress of an evaluation: one line per task and stage that takes a while. */
import type { EvalProgress } from "../../eval/evaluate.js";
import { type OutputMode, Progress } from "../../run/progress.js";

export function evalProgress(mode: OutputMode): {
  update(progress: EvalProgress): void;
  end(): void;
} {
  let open: Progress | undefined;
  let shown = "";
  let since = 0;
  const end = () => {
    open?.end();
    open = undefined;
    shown = "";
  };
  return {
    end,
    update({ task, stage, done, total }) {
      if (stage === "load") return;
      // The number of requests grows from round to round; a new line shows the new total.
      const key = `${task} ${stage} ${total}`;
      if (key !== shown) {
        end();
        shown = key;
        since = performance.now();
      }
      if (open === undefined && performance.now() - since < QUICK_MS) return;
      const unit = stage === "answer" ? "request" : "item";
      open ??= new Progress({ label: `${task} ${stage}`, unit, total, start: done - 1, mode });
      open.update(done);
    },
  };
}

/** Stages that are over sooner are not worth a line. */
const QUICK_MS = 500;
