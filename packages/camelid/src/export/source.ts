/** What is exported: a model folder, an adapter with its base, or the result of a run. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { DType } from "@camelid/torch";
import { isAdapterFolder } from "../adapters/adapter-file.js";
import { adapterBase, loadAdaptedModel } from "../adapters/load-adapted.js";
import { ModelError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { type Companions, readCompanions } from "../model/save.js";
import { hubNameOf, modelFolder } from "../run/hub-names.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import { effectiveChatTemplate } from "../tokenizer/write-tokenizer.js";

export interface ExportSource {
  /** Of the model, or of the adapter. */
  folder: string;
  /** Of the base model, when `folder` holds an adapter. */
  base: string | undefined;
  tokenizer: Tokenizer;
  /** Tokenizer files, chat template, and the licence texts of the model or its base. */
  companions: Companions;
  /** For file names and cards. */
  name: string;
  /** The folder of the run that made it, when it is one's result. */
  run: string | undefined;
}

/**
 * @param name a model or adapter folder, a run's folder (its `final/` is taken), or the hub's name of a fetched model
 * @throws {ModelError} `ERR_MODEL_FOLDER`, and what reading a tokenizer throws
 */
export async function openSource(name: string): Promise<ExportSource> {
  const given = modelFolder(name);
  const isRun = existsSync(join(given, "settings.json")) && existsSync(join(given, "final"));
  const folder = isRun ? join(given, "final") : given;
  if (!existsSync(folder)) {
    throw new ModelError("ERR_MODEL_FOLDER", "there is no such model folder, adapter folder or run.", {
      where: name,
      fix: "check the path, or give org/name of a model on the hub.",
    });
  }
  const base = isAdapterFolder(folder) ? adapterBase(folder) : undefined;
  // Training puts the tokenizer beside the adapter; other programs leave it with the base.
  const withTokenizer = base !== undefined && !existsSync(join(folder, "tokenizer.json")) ? base : folder;
  const tokenizer = await loadTokenizer(withTokenizer);
  const parent = dirname(folder);
  const inRun = basename(folder) === "final" && existsSync(join(parent, "settings.json"));
  return {
    folder,
    base,
    tokenizer,
    companions: new Map([
      ...readCompanions(withTokenizer, effectiveChatTemplate(tokenizer)),
      ...licenceTexts(base ?? folder),
    ]),
    name: hubNameOf(folder)?.id.split("/")[1] ?? basename(inRun ? parent : folder),
    run: inRun ? parent : undefined,
  };
}

/** Many licences ask that their text goes along. */
function licenceTexts(folder: string): [string, Uint8Array][] {
  return readdirSync(folder)
    .filter((name) => /^(LICEN[CS]E|NOTICE|USE_POLICY)/i.test(name))
    .map((name) => [name, readFileSync(join(folder, name))]);
}

/** @param dtype converts the weights; as they are stored when left out */
export function loadSource({ folder }: ExportSource, dtype: DType | undefined): LanguageModel {
  return loadAdaptedModel(folder, dtype === undefined ? {} : { dtype });
}
