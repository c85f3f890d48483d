/** `config.json` of a model folder: read, checked, and written back. What the fields are: `config-fields.ts` and the families. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { z } from "zod";
import { ModelError } from "../errors.js";
import type { RopeScaling } from "../nn/rope.js";
import { modelFolder } from "../run/hub-names.js";
import { CommonFields, HARMLESS, type Rope } from "./config-fields.js";
import { FAMILIES } from "./families.js";
import type { ModelFamily } from "./family.js";
import type { ModelConfig } from "./model-config.js";

/**
 * Reads `config.json` of a model folder. `raw` is the file itself, kept for writing it back. Texts end where `generation_config.json`
 * says, too: chat models often name the end of a turn only there.
 */
export function readConfig(folder: string): { config: ModelConfig; raw: Record<string, unknown> } {
  const path = join(modelFolder(folder), "config.json");
  const raw = readJson(path);
  const config = parseConfig(raw, path);
  const more = moreEnds(folder).filter((id) => id >= 0 && id < config.vocabSize);
  const eosTokenIds = [...new Set([...config.eosTokenIds, ...more])];
  return { config: { ...config, eosTokenIds }, raw: raw as Record<string, unknown> };
}

function moreEnds(folder: string): number[] {
  const path = join(modelFolder(folder), "generation_config.json");
  if (!existsSync(path)) return [];
  const parsed = GenerationFields.safeParse(readJson(path));
  if (parsed.success) return [parsed.data.eos_token_id ?? []].flat();
  throw new ModelError("ERR_CONFIG_JSON", "generation_config.json does not say where texts end.", {
    where: `${path}, field ${parsed.error.issues[0]!.path.join(".") || "(the file)"}`,
    fix: "eos_token_id is an id, or a list of ids.",
  });
}

const GenerationFields = CommonFields.pick({ eos_token_id: true });

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw unreadable(path, cause as NodeJS.ErrnoException);
  }
}

/** Longest row, in tokens, that the model of a folder was made for. */
export function contextLength(folder: string): number {
  return readConfig(folder).config.maxPositionEmbeddings;
}

function unreadable(where: string, cause: NodeJS.ErrnoException): ModelError {
  const fix = "give a folder in the Hugging Face layout: config.json, safetensors, tokenizer.json.";
  if (cause.code === "ENOENT" || cause.code === "ENOTDIR") {
    return new ModelError("ERR_CONFIG_MISSING", "this is not a model folder: it has no config.json.", {
      where,
      fix,
      cause,
    });
  }
  if (cause.syscall !== undefined) {
    return new ModelError("ERR_CONFIG_UNREADABLE", `${basename(where)} cannot be read (${cause.code}).`, {
      where,
      fix,
      cause,
    });
  }
  return new ModelError("ERR_CONFIG_JSON", `${basename(where)} is not JSON: ${cause.message}.`, {
    where,
    fix,
    cause,
  });
}

/** @throws {ModelError} that names every field at fault, or lists the known families */
export function parseConfig(raw: unknown, where = "config.json"): ModelConfig {
  const family = familyOf(raw, where);
  const schema = CommonFields.extend(family.fields);
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join(".") || "config"}: ${issue.message}`,
    );
    throw unsupported(
      `config.json is not a ${family.modelType} model that is supported here: ${problems.join("; ")}.`,
      where,
    );
  }
  const file = parsed.data as z.output<typeof CommonFields>;
  const unknown = Object.keys(file).filter((key) => !(key in schema.shape) && !HARMLESS.has(key));
  if (unknown.length > 0) {
    throw unsupported(
      `config.json has fields that may change the computation: ${unknown.join(", ")}.`,
      where,
    );
  }
  const rope = file.rope_parameters ?? file.rope_scaling ?? {};
  const ropeScaling = parseScaling(rope, where);
  if (
    file.rope_scaling &&
    JSON.stringify(parseScaling(file.rope_scaling, where)) !== JSON.stringify(ropeScaling)
  ) {
    throw unsupported("rope_parameters and rope_scaling say different things.", where);
  }
  const headDim = file.head_dim ?? file.hidden_size / file.num_attention_heads;
  const numKeyValueHeads = file.num_key_value_heads ?? file.num_attention_heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0 || file.num_attention_heads % numKeyValueHeads !== 0) {
    throw unsupported(
      `${file.num_attention_heads} heads, ${numKeyValueHeads} key-value heads and hidden size ${file.hidden_size} do not fit together.`,
      where,
    );
  }
  const config: ModelConfig = {
    ...family.traits(file),
    modelType: family.modelType,
    vocabSize: file.vocab_size,
    hiddenSize: file.hidden_size,
    intermediateSize: file.intermediate_size,
    numHiddenLayers: file.num_hidden_layers,
    numAttentionHeads: file.num_attention_heads,
    numKeyValueHeads,
    headDim,
    maxPositionEmbeddings: file.max_position_embeddings,
    rmsNormEps: file.rms_norm_eps,
    ropeTheta: rope.rope_theta ?? file.rope_theta ?? 10_000,
    ropeScaling,
    tieWordEmbeddings: file.tie_word_embeddings,
    initializerRange: file.initializer_range,
    bosTokenId: file.bos_token_id ?? undefined,
    eosTokenIds: [file.eos_token_id ?? []].flat(),
    dtype: file.dtype ?? file.torch_dtype ?? "float32",
  };
  checkLayerTypes(config, file.layer_types, where);
  return config;
}

function familyOf(raw: unknown, where: string): ModelFamily {
  const modelType = (raw as { model_type?: unknown } | null)?.model_type;
  const family = typeof modelType === "string" ? FAMILIES.get(modelType) : undefined;
  if (family !== undefined) return family;
  const known = [...FAMILIES.keys()].join(", ");
  throw new ModelError(
    "ERR_CONFIG_UNSUPPORTED",
    modelType === undefined
      ? "config.json has no model_type."
      : `model_type ${JSON.stringify(modelType)} is not known.`,
    { where, fix: `use a model of one of the known families: ${known}.` },
  );
}

/** A list of layers must say what the window says: windows from one layer on. */
function checkLayerTypes(
  { slidingWindow, numHiddenLayers }: ModelConfig,
  types: readonly string[] | null | undefined,
  where: string,
): void {
  if (!types) return;
  const firstLayer = slidingWindow?.firstLayer ?? numHiddenLayers;
  const wanted = types.map((_, layer) => (layer < firstLayer ? "full_attention" : "sliding_attention"));
  if (types.length !== numHiddenLayers || types.join() !== wanted.join()) {
    throw unsupported(
      `layer_types does not fit: ${numHiddenLayers} layers, ${slidingWindow === undefined ? "no window" : `windows from layer ${firstLayer} on`}.`,
      where,
    );
  }
}

function parseScaling(rope: z.output<typeof Rope>, where: string): RopeScaling {
  const type = rope.rope_type ?? rope.type ?? "default";
  if (type === "default") return { type };
  const { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } = rope;
  if (type !== "llama3") throw unsupported(`rope scaling "${type}" is not supported.`, where);
  if (!factor || !low_freq_factor || !high_freq_factor || !original_max_position_embeddings) {
    throw unsupported(
      "rope scaling llama3 needs factor, low_freq_factor, high_freq_factor and original_max_position_embeddings.",
      where,
    );
  }
  return {
    type,
    factor,
    lowFreqFactor: low_freq_factor,
    highFreqFactor: high_freq_factor,
    originalMaxPositionEmbeddings: original_max_position_embeddings,
  };
}

function unsupported(message: string, where: string): ModelError {
  return new ModelError("ERR_CONFIG_UNSUPPORTED", message, {
    where,
    fix: "use another checkpoint, or remove a field that you know has no effect.",
  });
}

/** The file for a config: keys of transformers 4, which version 5 reads as well. */
export function configFile(config: ModelConfig): Record<string, unknown> {
  const { ropeScaling: rope } = config;
  const family = FAMILIES.get(config.modelType)!;
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numHiddenLayers,
    num_attention_heads: config.numAttentionHeads,
    num_key_value_heads: config.numKeyValueHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.maxPositionEmbeddings,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    rope_scaling:
      rope.type === "default"
        ? null
        : {
            rope_type: rope.type,
            factor: rope.factor,
            low_freq_factor: rope.lowFreqFactor,
            high_freq_factor: rope.highFreqFactor,
            original_max_position_embeddings: rope.originalMaxPositionEmbeddings,
          },
    tie_word_embeddings: config.tieWordEmbeddings,
    initializer_range: config.initializerRange,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id:
      config.eosTokenIds.length === 1
        ? config.eosTokenIds[0]
        : config.eosTokenIds.length === 0
          ? null
          : config.eosTokenIds,
    hidden_act: "silu",
    ...family.fieldsOf(config),
    torch_dtype: config.dtype,
  };
}
