/** Writes a model folder in the Hugging Face layout. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { hold } from "../parallel/sharded-blocks.js";
import { modelFolder } from "../run/hub-names.js";
import { configFile } from "./config.js";
import type { LanguageModel } from "./language-model.js";
import { quantizationConfig } from "./nf4-projections.js";

/** Larger models are cut into files of at most this many bytes. */
const SHARD_BYTES = 5e9;

/** What a tokenizer consists of, and what goes with a model unchanged. */
const COMPANIONS = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "tokenizer.model",
  "chat_template.jinja",
];

export interface SaveOptions {
  /** Tokenizer and chat template that go along: the files, or the folder that has them. */
  tokenizer?: Companions | string;
  shardBytes?: number;
}

/**
 * Writes `config.json`, `generation_config.json`, the weights in the model's dtype (or in 4 bits, where they are kept so), and copies the tokenizer. Every file is
 * whole or absent; the weights come last, so that a folder with weights is complete.
 */
export function saveModel(model: LanguageModel, folder: string, options: SaveOptions = {}): void {
  mkdirSync(folder, { recursive: true });
  const { config } = model;
  const parameters = model.namedParameters();
  const quantization = quantizationConfig(parameters, model.dtype);
  writeJson(join(folder, "config.json"), {
    ...configFile({ ...config, dtype: model.dtype }),
    ...(quantization === undefined ? {} : { quantization_config: quantization }),
  });
  const { bos_token_id, eos_token_id } = configFile(config);
  writeJson(join(folder, "generation_config.json"), { bos_token_id, eos_token_id });
  const { tokenizer = new Map() } = options;
  const companions = typeof tokenizer === "string" ? readCompanions(tokenizer) : tokenizer;
  for (const [name, bytes] of companions) writeFileSync(join(folder, name), bytes);
  saveWeights(parameters, folder, options.shardBytes ?? SHARD_BYTES);
}

/** Files of a model folder that training leaves as they are, by name. */
export type Companions = ReadonlyMap<string, Uint8Array>;

/**
 * Reads them now, so that a model can be saved days later, when the folder may have been moved or removed.
 * @param chatTemplate what rows are rendered with: it travels with the model even when the base had none of its own, or
 *   other software would prompt the model differently
 */
export function readCompanions(name: string, chatTemplate?: string): Companions {
  const folder = modelFolder(name);
  const present = COMPANIONS.filter((file) => existsSync(join(folder, file)));
  const files = new Map<string, Uint8Array>(present.map((file) => [file, readFileSync(join(folder, file))]));
  if (chatTemplate === undefined) return files;
  const config = JSON.parse(files.get("tokenizer_config.json")?.toString() ?? "{}") as Record<
    string,
    unknown
  >;
  const withTemplate = `${JSON.stringify({ ...config, chat_template: chatTemplate }, null, 2)}\n`;
  return files
    .set("tokenizer_config.json", Buffer.from(withTemplate))
    .set("chat_template.jinja", Buffer.from(chatTemplate));
}

/** Weights in parts are there while they are written; the other ranks must be waiting (`World.meet`). */
export function saveWeights(
  parameters: ReadonlyMap<string, Tensor>,
  folder: string,
  shardBytes: number = SHARD_BYTES,
): void {
  const shards = cutIntoShards(parameters, shardBytes);
  const write = (file: string, tensors: readonly (readonly [string, Tensor])[]): void => {
    const entries = tensors.map(([name, tensor]) =>
      torch.safetensorsEntry(name, {
        dtype: tensor.dtype,
        shape: tensor.shape,
        toBytes() {
          hold(tensor);
          return tensor.toBytes();
        },
      }),
    );
    torch.writeSafetensorsFile(join(folder, file), entries, { format: "pt" });
  };
  if (shards.length === 1) {
    write("model.safetensors", shards[0]!);
    return;
  }
  const weightMap: Record<string, string> = {};
  shards.forEach((shard, i) => {
    const file = `model-${pad(i + 1)}-of-${pad(shards.length)}.safetensors`;
    write(file, shard);
    for (const [name] of shard) weightMap[name] = file;
  });
  const total = [...parameters.values()].reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
  writeJson(join(folder, "model.safetensors.index.json"), {
    metadata: { total_size: total },
    weight_map: weightMap,
  });
}

function cutIntoShards(
  parameters: ReadonlyMap<string, Tensor>,
  shardBytes: number,
): (readonly [string, Tensor])[][] {
  const shards: (readonly [string, Tensor])[][] = [[]];
  let filled = 0;
  for (const entry of parameters) {
    const size = entry[1].sizeBytes;
    if (filled > 0 && filled + size > shardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(entry);
    filled += size;
  }
  return shards;
}

const pad = (number: number): string => String(number).padStart(5, "0");

export function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
