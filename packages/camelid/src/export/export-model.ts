import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DType } from "@camelid/torch";
import { SettingsError } from "../errors.js";
import { readConfig } from "../model/config.js";
import { writeFolderAtomic } from "../run/atomic-write.js";
import { writeAdapter } from "./adapter.js";
import { modelCard } from "./card/model-card.js";
import type { FixtureResult } from "./fixtures.js";
import { contextLength } from "./gguf/architecture.js";
import { checkGguf } from "./gguf/check.js";
import { type GgufSummary, writeGgufModel } from "./gguf/export.js";
import type { TensorType } from "./gguf/format.js";
import { checkWithLlamaCpp, findNodeLlamaCpp, type LlamaCppResult } from "./gguf/llama-cpp.js";
import { mergeSource, writeFixtures, writeMerged } from "./merged.js";
import { hasPlainLayout, modelfile } from "./ollama.js";
import { type ExportSource, openSource } from "./source.js";

export type ExportTarget =
  | { to: "merged"; dtype?: DType | undefined }
  | { to: "adapter"; baseName?: string | undefined }
  | { to: "gguf"; type: TensorType; dtype?: DType | undefined };

export type ExportOptions = ExportTarget & {
  /** Model folder, adapter folder, run folder, or the hub's name of a fetched model. */
  model: string;
  /** Folder to make. It is complete and checked, or absent. */
  out: string;
  /** Results of `camelid eval` for the model card, which is written when a run's result is exported. */
  evals?: readonly string[];
  /** Folder from which `node-llama-cpp` is looked for; the working folder when left out. */
  llamaCppFrom?: string;
};

export interface ExportSummary {
  name: string;
  out: string;
  check: FixtureResult;
  gguf?: GgufSummary & {
    file: string;
    contextLength: number;
    /** Undefined where node-llama-cpp is not installed. */
    llamaCpp: LlamaCppResult | undefined;
    /** Whether the Modelfile carries the chat layout. */
    modelfileHasTemplate: boolean;
  };
}

/** A share of the largest logit: llama.cpp sums in another order, and rounds activations to the type of the weights. */
const LLAMA_CPP_TOLERANCE: Readonly<Record<TensorType, number>> = {
  f32: 1e-3,
  f16: 0.02,
  bf16: 0.1,
  q8_0: 0.15,
};

/**
 * Writes a model in a form that other programs read, with parity fixtures, and holds it against them. What fails its check is
 * not written.
 * @throws {SettingsError} `ERR_EXPORT_OUT`, `ERR_EXPORT_NO_ADAPTER`; {ModelError} what reading and checking throw
 */
export async function exportModel(options: ExportOptions): Promise<ExportSummary> {
  const { model, out } = options;
  checkOut(out);
  const source = await openSource(model);
  let summary: Omit<ExportSummary, "name" | "out"> | undefined;
  await writeFolderAtomic(
    out,
    async (folder) => {
      summary = await write(folder, source, options);
      await writeCard(folder, source, options.evals);
    },
    { replace: existsSync(out) },
  );
  return { name: source.name, out, ...summary! };
}

async function write(
  folder: string,
  source: ExportSource,
  options: ExportOptions,
): Promise<Omit<ExportSummary, "name" | "out">> {
  switch (options.to) {
    case "merged":
      return { check: await writeMerged(folder, source, options.dtype) };
    case "adapter":
      return { check: await writeAdapter(folder, source, options.baseName) };
    case "gguf":
      return await writeGgufFolder(folder, source, options);
  }
}

async function writeGgufFolder(
  folder: string,
  source: ExportSource,
  { type, dtype, llamaCppFrom }: Extract<ExportOptions, { to: "gguf" }>,
): Promise<Omit<ExportSummary, "name" | "out">> {
  using merged = await mergeSource(source, dtype);
  const { model, fixtures, allowed } = merged;
  const { tokenizer, name } = source;
  const file = `${name}-${type}.gguf`;
  const path = join(folder, file);
  const written = await writeGgufModel(path, model, tokenizer, fixtures, { type, name });
  const check = await checkGguf(path, model, tokenizer, fixtures, { type, allowed });
  const llamaCpp = await findNodeLlamaCpp(llamaCppFrom ?? process.cwd());
  const tolerance = Math.max(
    allowed,
    LLAMA_CPP_TOLERANCE[model.dtype === "bfloat16" ? "bf16" : type],
    LLAMA_CPP_TOLERANCE[type],
  );
  const checked =
    llamaCpp === undefined
      ? undefined
      : await checkWithLlamaCpp(llamaCpp, path, fixtures, tokenizer, tolerance);
  const context = contextLength(model.config);
  writeFileSync(join(folder, "Modelfile"), modelfile(file, tokenizer, context, model.config.eosTokenIds));
  writeFixtures(folder, fixtures);
  const gguf = {
    ...written,
    ...{ file, contextLength: context, llamaCpp: checked, modelfileHasTemplate: hasPlainLayout(tokenizer) },
  };
  return { check, gguf };
}

/** The model card, where a run tells how the model was made. */
async function writeCard(
  folder: string,
  source: ExportSource,
  evals: readonly string[] | undefined,
): Promise<void> {
  const { name, run, tokenizer } = source;
  if (run === undefined) return;
  const { config } = readConfig(source.base ?? source.folder);
  writeFileSync(
    join(folder, "README.md"),
    await modelCard({ name, config, tokenizer, run, evals: evals ?? [] }),
  );
}

/** An empty folder may be taken; anything else is not touched. */
function checkOut(out: string): void {
  if (!existsSync(out)) return;
  let entries: string[];
  try {
    entries = readdirSync(out);
  } catch {
    entries = ["a file"];
  }
  if (entries.length === 0) return;
  throw new SettingsError("ERR_EXPORT_OUT", "the output is there already.", {
    where: out,
    fix: "choose another --out, or remove it.",
  });
}
