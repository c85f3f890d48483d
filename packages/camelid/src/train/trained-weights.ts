/** What a run changes and saves: every weight of the model, or an adapter on frozen weights. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Tensor } from "@camelid/torch";
import { isAdapterFolder, loadAdapter, saveAdapter } from "../adapters/adapter-file.js";
import { checkBase } from "../adapters/load-adapted.js";
import { addLora, type LoraAdapter, type LoraSettings } from "../adapters/lora.js";
import type { LanguageModel } from "../model/language-model.js";
import { SCORE_HEAD } from "../model/layer-layout.js";
import { type RewardModel, saveRewardModel } from "../model/reward-model.js";
import { type Companions, saveModel } from "../model/save.js";
import { folderWeightsHash } from "../model/weights-hash.js";
import type { Nf4Settings } from "../nn/nf4-weight.js";
import { modelFolder } from "../run/hub-names.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
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
 * @throws {ModelError} `ERR_ADAPTER_BASE` when that base has other weights than the checkpoint's
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
  return adapterOn(model, lora, start, quantize);
}

/**
 * The same of a reward model: every weight and the head, or an adapter on the frozen decoder and the head.
 * @param tokenizer says with what texts are padded
 */
export function trainedRewardWeights(
  model: RewardModel,
  lora: LoraSettings | null,
  start: Pick<Start, "modelFolder" | "checkpoint">,
  quantize: Nf4Settings | null,
  { padTokenId, eosTokenId }: Pick<Tokenizer, "padTokenId" | "eosTokenId">,
): TrainedWeights {
  if (lora !== null) return adapterOn(model.decoder, lora, start, quantize, model.score);
  // Padding must not be what ends a text: others look for the last token from the right, past padding.
  const kept = { padTokenId: padTokenId === eosTokenId ? undefined : padTokenId };
  return {
    parameters: model.namedParameters(),
    adapter: undefined,
    save: (folder, tokenizer) => saveRewardModel(model, folder, { tokenizer, ...kept }),
  };
}

/** @param score the head of a reward model, trained whole beside the adapter */
function adapterOn(
  model: LanguageModel,
  lora: LoraSettings,
  { checkpoint, modelFolder: base }: Pick<Start, "modelFolder" | "checkpoint">,
  quantize: Nf4Settings | null,
  score?: Tensor,
): TrainedWeights {
  const stored = checkpoint !== undefined && isAdapterFolder(checkpoint.path) ? checkpoint.path : undefined;
  let sha256 = stored === undefined ? undefined : checkBase(stored, base); // a run does not go on with another base
  const head = score === undefined ? {} : { score };
  const adapter =
    stored === undefined ? addLora(model, lora) : loadAdapter(model, stored, { trainable: true, ...head });
  const parameters = adapter.namedParameters();
  if (score !== undefined) {
    score.requiresGrad = true;
    parameters.set(SCORE_HEAD, score);
  }
  return {
    parameters,
    adapter,
    save(folder, companions) {
      sha256 ??= folderWeightsHash(base);
      mkdirSync(folder, { recursive: true });
      for (const [name, bytes] of companions) writeFileSync(join(folder, name), bytes);
      saveAdapter(adapter, folder, { model: resolve(modelFolder(base)), sha256, quantize }, score);
    },
  };
}
