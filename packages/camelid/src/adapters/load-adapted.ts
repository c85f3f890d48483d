/** A folder to compute with, whether it holds a model or an adapter for one. */
import { existsSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { ModelError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { type LoadOptions, loadModel } from "../model/load.js";
import { folderWeightsHash } from "../model/weights-hash.js";
import { modelFolder } from "../run/hub-names.js";
import { hubNameWith, isAdapterFolder, loadAdapter, readAdapterConfig } from "./adapter-file.js";

/**
 * Loads a model folder, or an adapter folder: then the base model that it names, with the adapter on it.
 * @throws {ModelError} as `loadModel` and `loadAdapter`; `ERR_ADAPTER_BASE` when the base is not there, or is another one
 */
export function loadAdaptedModel(name: string, options: LoadOptions = {}): LanguageModel {
  const folder = modelFolder(name);
  if (!isAdapterFolder(folder)) return loadModel(folder, options);
  const { baseModel, baseRevision, baseSha256 } = readAdapterConfig(folder);
  const base = findBase(folder, baseModel, baseRevision);
  if (baseSha256 !== undefined && folderWeightsHash(base) !== baseSha256) {
    throw new ModelError(
      "ERR_ADAPTER_BASE",
      "the base model is not the one that the adapter was trained on.",
      {
        where: `${folder}: its base had the sha256 ${baseSha256.slice(0, 12)}, that of ${base} differs`,
        fix: "put the original base there, or correct base_model_name_or_path in adapter_config.json.",
      },
    );
  }
  const model = loadModel(base, options);
  try {
    loadAdapter(model, folder, options);
    return model;
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
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
