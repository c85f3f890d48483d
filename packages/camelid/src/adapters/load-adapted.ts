/** A folder to compute with, whether it holds a model - one that speaks, or one that judges - or an adapter for one. */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { ModelError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { type LoadOptions, loadModel } from "../model/load.js";
import { isRewardFolder, loadRewardModel, type RewardModel } from "../model/reward-model.js";
import { folderWeightsHash } from "../model/weights-hash.js";
import type { Nf4Settings } from "../nn/nf4-weight.js";
import { modelFolder } from "../run/hub-names.js";
import { hubNameWith, isAdapterFolder, loadAdapter, readAdapterConfig } from "./adapter-file.js";

/**
 * Loads a model folder, or an adapter folder: then the base model that it names, with the adapter on it. A base that was
 * quantised when the adapter was trained is quantised again in the same way.
 * @throws {ModelError} as `loadModel` and `loadAdapter`; `ERR_ADAPTER_BASE` when the base is not there, or is another one;
 *   `ERR_ADAPTER_QUANTIZE` when `options.quantize` is not how the adapter's base was quantised
 */
export function loadAdaptedModel(name: string, options: LoadOptions = {}): LanguageModel {
  const folder = modelFolder(name);
  if (!isAdapterFolder(folder)) return loadModel(folder, options);
  const { base, quantize } = checkedBase(folder, options.quantize);
  const model = loadModel(base, { ...options, quantize });
  try {
    loadAdapter(model, folder, options);
    return model;
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/**
 * Loads a reward model that has been trained: its folder, or an adapter folder that has a head.
 * @throws {ModelError} `ERR_REWARD_HEAD` when it is a language model, whose head would be new and its scores noise; and as
 *   `loadAdaptedModel`
 */
export function loadTrainedReward(name: string, options: LoadOptions = {}): RewardModel {
  const folder = modelFolder(name);
  if (!isAdapterFolder(folder)) {
    if (isRewardFolder(folder)) return loadRewardModel(folder, options);
    throw new ModelError("ERR_REWARD_HEAD", "this is a language model; it gives no scores.", {
      where: folder,
      fix: "train a reward model of it: `camelid reward --model`, and give its final folder.",
    });
  }
  const { base, quantize } = checkedBase(folder, options.quantize);
  const model = loadRewardModel(base, { ...options, quantize });
  try {
    loadAdapter(model.decoder, folder, { ...options, score: model.score });
    return model;
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/** The base that an adapter was trained on, and how it has to be loaded. */
function checkedBase(
  folder: string,
  asked: Nf4Settings | null | undefined,
): { base: string; quantize: Nf4Settings | null } {
  const { baseModel, baseRevision, quantize } = readAdapterConfig(folder);
  checkQuantize(folder, quantize, asked);
  const base = findBase(folder, baseModel, baseRevision);
  checkBase(folder, base);
  return { base, quantize: quantize ?? null };
}

/**
 * Compares the weights of a model folder with those that an adapter was trained on, where the adapter says which.
 * @returns their hash, where it was needed
 * @throws {ModelError} `ERR_ADAPTER_BASE`
 */
export function checkBase(folder: string, base: string): string | undefined {
  const { baseSha256 } = readAdapterConfig(folder);
  if (baseSha256 === undefined || folderWeightsHash(base) === baseSha256) return baseSha256;
  throw new ModelError("ERR_ADAPTER_BASE", "the base model is not the one that the adapter was trained on.", {
    where: `${folder}: its base had the sha256 ${baseSha256.slice(0, 12)}, that of ${base} differs`,
    fix: "put the original base there, or correct base_model_name_or_path in adapter_config.json.",
  });
}

function checkQuantize(
  folder: string,
  trained: Nf4Settings | undefined,
  asked: Nf4Settings | null = null,
): void {
  if (asked === null) return;
  const words = (one: Nf4Settings | undefined): string =>
    one === undefined
      ? "a base as its folder has it"
      : `nf4, doubleQuant ${one.doubleQuant}, throughFp16 ${one.throughFp16}`;
  if (words(trained) === words(asked)) return;
  throw new ModelError(
    "ERR_ADAPTER_QUANTIZE",
    `the adapter was trained on ${words(trained)}; asked for is ${words(asked)}.`,
    {
      where: join(folder, "adapter_config.json"),
      fix: "leave quantize out: an adapter's base is loaded as it was trained; or merge it and quantise the result.",
    },
  );
}

/**
 * The folder of an adapter's base model.
 * @throws {ModelError} `ERR_ADAPTER_BASE` when it is not on this machine
 */
export function adapterBase(folder: string): string {
  const { baseModel, baseRevision } = readAdapterConfig(folder);
  return findBase(folder, baseModel, baseRevision);
}

/** As it stands, seen from the working folder, or from the adapter's; or a name on the hub that has been fetched. */
function findBase(folder: string, named: string | undefined, revision: string | undefined): string {
  const places = named === undefined ? [] : isAbsolute(named) ? [named] : [named, join(folder, named)];
  const found = places.find((place) => existsSync(join(place, "config.json")));
  if (found !== undefined) return found;
  const fetched = named === undefined ? "" : modelFolder(hubNameWith(named, revision));
  if (existsSync(join(fetched, "config.json"))) return fetched;
  throw new ModelError(
    "ERR_ADAPTER_BASE",
    named === undefined
      ? "the adapter does not say which model it is for."
      : `there is no base model "${named}".`,
    {
      where: join(folder, "adapter_config.json"),
      fix: "set base_model_name_or_path to the folder of the base model, or to its name on the hub.",
    },
  );
}
