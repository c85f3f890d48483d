/**
 * `config.json` of a Llama, in the dialects of transformers 4 (`rope_theta`, `rope_scaling`, `torch_dtype`) and 5
 * (`rope_parameters`, `dtype`). A field that changes the computation and is not supported is an error.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DType } from "@camelid/torch";
import { z } from "zod";
import { ModelError } from "../errors.js";
import type { RopeScaling } from "../nn/rope.js";

export interface LlamaConfig {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  numHiddenLayers: number;
  numAttentionHeads: number;
  numKeyValueHeads: number;
  headDim: number;
  maxPositionEmbeddings: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  tieWordEmbeddings: boolean;
  /** Standard deviation of random initial weights. */
  initializerRange: number;
  bosTokenId: number | undefined;
  /** Every id that ends a text. */
  eosTokenIds: readonly number[];
  /** The dtype the checkpoint was saved in. */
  dtype: DType;
}

const positive = z.int().positive();
const ids = z.union([z.int(), z.array(z.int())]).nullish();

/** Everything that any kind of scaling reads would change the angles: unknown numbers are refused. */
const Rope = z.strictObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: positive.optional(),
  partial_rotary_factor: z.literal(1).optional(),
});

/** Llama 3.1 405B has 126; a number from a damaged file should not become a list of names that fills the memory. */
const MAX_LAYERS = 4096;

const dtypes = z.enum(["float32", "float16", "bfloat16"]);

/** What the computation depends on, and the one value that is supported where there is only one. */
const ConfigFile = z.looseObject({
  model_type: z.literal("llama"),
  vocab_size: positive,
  hidden_size: positive,
  intermediate_size: positive,
  num_hidden_layers: positive.max(MAX_LAYERS),
  num_attention_heads: positive,
  num_key_value_heads: positive.nullish(),
  head_dim: positive.nullish(),
  max_position_embeddings: positive.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: Rope.nullish(),
  rope_parameters: Rope.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  initializer_range: z.number().positive().default(0.02),
  bos_token_id: z.int().nullish(),
  eos_token_id: ids,
  torch_dtype: dtypes.nullish(),
  dtype: dtypes.nullish(),
  hidden_act: z.literal("silu").default("silu"),
  attention_bias: z.literal(false).default(false),
  mlp_bias: z.literal(false).default(false),
  attention_dropout: z.literal(0).nullish(),
  pretraining_tp: z.literal(1).nullish(),
  partial_rotary_factor: z.literal(1).nullish(),
  quantization_config: z.null().optional(),
  sliding_window: z.null().optional(),
});

/** Fields known to leave the logits alone. Anything else is refused, because it might not. */
const HARMLESS = new Set(
  `architectures pad_token_id use_cache transformers_version _name_or_path _attn_implementation_autoset torch_compile
   return_dict output_attentions output_hidden_states id2label label2id problem_type task_specific_params unsloth_version
   unsloth_fixed auto_map model_name tokenizer_class is_decoder is_encoder_decoder chunk_size_feed_forward
   use_return_dict max_sequence_length name_or_path neftune_noise_alpha finetuning_task _flash_attn_2_enabled
   add_cross_attention cross_attention_hidden_size decoder_start_token_id prefix pruned_heads sep_token_id tie_encoder_decoder
   torchscript typical_p top_k top_p temperature repetition_penalty num_beams max_length min_length do_sample early_stopping
   length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size num_beam_groups diversity_penalty num_return_sequences
   bad_words_ids forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty
   suppress_tokens begin_suppress_tokens output_scores return_dict_in_generate tf_legacy_loss use_bfloat16`.split(
    /\s+/,
  ),
);

/** Reads `config.json` of a model folder. `raw` is the file itself, kept for writing it back. */
export function readConfig(folder: string): { config: LlamaConfig; raw: Record<string, unknown> } {
  const path = join(folder, "config.json");
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw unreadable(path, cause as NodeJS.ErrnoException);
  }
  return { config: parseConfig(raw, path), raw: raw as Record<string, unknown> };
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
    return new ModelError("ERR_CONFIG_UNREADABLE", `config.json cannot be read (${cause.code}).`, {
      where,
      fix,
      cause,
    });
  }
  return new ModelError("ERR_CONFIG_JSON", `config.json is not JSON: ${cause.message}.`, {
    where,
    fix,
    cause,
  });
}

/** @throws {ModelError} that names every field at fault */
export function parseConfig(raw: unknown, where = "config.json"): LlamaConfig {
  const parsed = ConfigFile.safeParse(raw);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join(".") || "config"}: ${issue.message}`,
    );
    throw unsupported(`config.json is not a Llama that is supported here: ${problems.join("; ")}.`, where);
  }
  const file = parsed.data;
  const unknown = Object.keys(file).filter((key) => !(key in ConfigFile.shape) && !HARMLESS.has(key));
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
  return {
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
    fix: "use a Llama checkpoint, or remove a field that you know has no effect.",
  });
}

/** The file for a config: keys of transformers 4, which version 5 reads as well. */
export function configFile(config: LlamaConfig): Record<string, unknown> {
  const { ropeScaling: rope } = config;
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
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
    attention_bias: false,
    mlp_bias: false,
    torch_dtype: config.dtype,
  };
}
