/** A model folder that loads anywhere: adapters folded into the weights, tokenizer and chat template beside them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DType } from "@camelid/torch";
import { adaptersOf } from "../adapters/lora.js";
import { dequantizeModel, MERGE_TOLERANCE, mergeAdapters } from "../adapters/merge.js";
import type { LanguageModel } from "../model/language-model.js";
import { loadModel } from "../model/load.js";
import { saveModel } from "../model/save.js";
import { loadTokenizer } from "../tokenizer/tokenizer.js";
import {
  checkFixtures,
  FIXTURES_FILE,
  type FixtureResult,
  makeFixtures,
  type ParityFixtures,
} from "./fixtures.js";
import { type ExportSource, loadSource } from "./source.js";

export interface MergedModel extends Disposable {
  model: LanguageModel;
  /** Of the model before adapters were merged. */
  fixtures: ParityFixtures;
  /** How far a logit may lie from the fixtures, as a share: 0 where nothing was merged or restored. */
  allowed: number;
}

/** Loads the source, lets it make fixtures, and merges its adapters; a base in 4 bits becomes what those bits stand for. */
export async function mergeSource(source: ExportSource, dtype: DType | undefined): Promise<MergedModel> {
  const model = loadSource(source, dtype);
  try {
    const fixtures = await makeFixtures(model, source.tokenizer);
    const isChanged = adaptersOf(model).length > 0 || dequantizeModel(model) > 0;
    const rows = fixtures.fixtures.map(({ input_ids }) => input_ids);
    if (adaptersOf(model).length > 0) mergeAdapters(model, rows);
    const allowed = isChanged ? MERGE_TOLERANCE[model.dtype]! : 0;
    return { model, fixtures, allowed, [Symbol.dispose]: () => model[Symbol.dispose]() };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

/** Writes the folder's files and holds what a reader of them gets against the fixtures. */
export async function writeMerged(
  folder: string,
  source: ExportSource,
  dtype: DType | undefined,
): Promise<FixtureResult> {
  using merged = await mergeSource(source, dtype);
  saveModel(merged.model, folder, { tokenizer: source.companions });
  writeFixtures(folder, merged.fixtures);
  using reloaded = loadModel(folder);
  return await checkFixtures(merged.fixtures, reloaded, await loadTokenizer(folder), merged.allowed);
}

export function writeFixtures(folder: string, fixtures: ParityFixtures): void {
  writeFileSync(join(folder, FIXTURES_FILE), `${JSON.stringify(fixtures, null, 1)}\n`);
}
