import type { PairRows } from "../data/pair-rows.js";
import { Progress } from "../run/progress.js";
import type { PairPassSettings } from "./pair-logps.js";
import type { TrainingSettings, TrainingSetup } from "./prepare-training.js";
import { type Reference, type StoredReferenceOptions, storedReference } from "./reference-logps.js";

/**
 * What the model that a run starts from says of the data: the stored reference, with a progress line of its own where it has to be
 * computed. Call it before the trained model is loaded: there is never a second model in memory.
 * @param options how pairs lie in a pass, and what one of them is called
 * @returns undefined when somebody asked to stop
 */
export async function referenceBeforeTraining(
  { settings, context, machine, world }: TrainingSetup<TrainingSettings & StoredReferenceSettings>,
  scored: Pick<PairRows, "pairs" | "fingerprint">,
  { sharePrompts, unit }: PairPassSettings & { unit: "pair" | "row" },
): Promise<Reference | undefined> {
  const total = scored.pairs.length;
  using progress = new Progress({ label: "reference", unit, total, mode: context.output });
  const { signal } = context;
  const reference = await storedReference(settings.model, scored, {
    ...settings,
    ...machine,
    ...{ sharePrompts, signal, world, onPairs: (done) => progress.update(done) },
  });
  progress.end();
  return reference;
}

type StoredReferenceSettings = Pick<StoredReferenceOptions, "microBatchSize" | "maxSeqLen" | "packing">;
