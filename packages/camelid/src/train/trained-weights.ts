/** What a run changes and saves: every weight of the model, or an adapter on frozen weights. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Tensor } from "@camelid/torch";
import { isAdapterFolder, loadAdapter, saveAdapter } from "../adapters/adapter-file.js";
import { addLora, type LoraAdapter, type LoraSettings } from "../adapters/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { type Companions, saveModel } from "../model/save.js";
import { folderWeightsHash } from "../model/weights-hash.js";
import type { Nf4Settings } from "../nn/nf4-weight.js";
import { modelFolder } from "../run/hub-names.js";
import type { Start } from "./start.js";

export interface TrainedWeights {
  /** By name, for the optimizer. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly adapter: LoraAdapter | undefined;
  /** Writes a model folder, or an adapter folder in PEFT's layout with the tokenizer beside it. */
  save(folder: string, companions: Companions): void;
}

/**
 * @param lora the run's adapter settings; null trains every weight
 * @param start where the model came from; a checkpoint of adapters is put on the base again
 * @param quantize how the base was quantised while it was loaded; said in the adapter's folder
 */
export function trainedWeights(
  model: LanguageModel,
  lora: LoraSettings | null,
  start: Pick<Start, "modelFolder" | "checkpoint">,
  quantize: Nf4Settings | null = null,
): TrainedWeights {
  if (lora === null) {
    return {
      parameters: model.namedParameters(),
      adapter: undefined,
      save: (folder, tokenizer) => saveModel(model, folder, { tokenizer }),
    };
  }
  const stored = start.checkpoint?.path;
  const adapter =
    stored !== undefined && isAdapterFolder(stored)
      ? loadAdapter(model, stored, { trainable: true })
      : addLora(model, lora);
  let sha256: string | undefined;
  return {
    parameters: adapter.namedParameters(),
    adapter,
    save(folder, companions) {
      sha256 ??= folderWeightsHash(start.modelFolder);
      mkdirSync(folder, { recursive: true });
      for (const [name, bytes] of companions) writeFileSync(join(folder, name), bytes);
      saveAdapter(adapter, folder, { model: resolve(modelFolder(start.modelFolder)), sha256, quantize });
    },
  };
}
