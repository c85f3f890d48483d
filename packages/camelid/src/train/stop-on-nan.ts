import { TrainingError } from "../errors.js";
import type { StepLosses } from "./loss-meter.js";

/**
 * The first loss or gradient that is not a number ends the run: every later step would be wasted.
 * @param locate finds the layer (`locateNaN`); called only when something is wrong
 * @throws {TrainingError} that names the step's sources and rows, and the layer
 */
export function stopOnNaN(
  step: number,
  losses: StepLosses,
  gradNorm: number,
  rows: readonly { readonly id: string }[],
  locate: () => string | undefined = () => undefined,
): void {
  if (Number.isFinite(losses.loss) && Number.isFinite(gradNorm)) return;
  const broken = Object.entries(losses.sources).filter(([, source]) => !Number.isFinite(source.loss));
  const what = Number.isFinite(losses.loss)
    ? `the gradient norm is ${gradNorm}`
    : `the loss is ${losses.loss}`;
  const ids = rows.map((row) => row.id);
  const shown = ids.length <= 8 ? ids.join(", ") : `${ids.slice(0, 8).join(", ")} and ${ids.length - 8} more`;
  const layer = locate();
  const origin = layer === undefined ? "" : `; the first that is not finite is ${layer}`;
  throw new TrainingError("ERR_NAN", `${what} in step ${step}${origin}.`, {
    where: `${broken.length > 0 ? `source ${broken.map(([name]) => name).join(", ")}; ` : ""}rows ${shown}`,
    fix: "lower the learning rate, look at these rows with `camelid inspect`, or train in fp32 or bf16-mixed.",
  });
}
