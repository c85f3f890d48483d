/** What the `config.json` of published models says, and what it means here. Fields that change nothing are left in as they are there. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { configFile, parseConfig, readConfig } from "./config.js";
import { weightShapes } from "./layer-layout.js";
import { attentionWindow } from "./model-config.js";

const LLAMA2 = {
  ...{
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    bos_token_id: 1,
    eos_token_id: 2,
  },
  ...{ hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, num_attention_heads: 32 },
  ...{ num_key_value_heads: 32, max_position_embeddings: 4096, rms_norm_eps: 1e-5, pretraining_tp: 1 },
  ...{
    rope_scaling: null,
    tie_word_embeddings: false,
    torch_dtype: "float16",
    use_cache: true,
    vocab_size: 32000,
  },
  ...{ initializer_range: 0.02, transformers_version: "4.31.0" },
};

describe("CodeLlama, the base of Code Tulu 2", () => {
  const codeLlama = (fields: object) =>
    parseConfig({
      ...LLAMA2,
      rope_theta: 1_000_000,
      max_position_embeddings: 16384,
      torch_dtype: "bfloat16",
      ...fields,
    });

  test("turns with theta 1,000,000, not Llama 2's 10,000", () => {
    expect(codeLlama({ vocab_size: 32016 }).ropeTheta).toBe(1_000_000);
    expect(parseConfig(LLAMA2).ropeTheta).toBe(10_000);
  });

  test("has 32,016 tokens as 7B and 13B, four of them infilling markers, and 32,000 as 34B", () => {
    expect(weightShapes(codeLlama({ vocab_size: 32016 })).get("lm_head.weight")).toEqual([32016, 4096]);
    const large = codeLlama({
      ...{ vocab_size: 32000, hidden_size: 8192, intermediate_size: 22016, num_hidden_layers: 48 },
      ...{ num_attention_heads: 64, num_key_value_heads: 8 },
    });
    expect(weightShapes(large).get("model.embed_tokens.weight")).toEqual([32000, 8192]);
    expect(weightShapes(large).get("model.layers.47.self_attn.k_proj.weight")).toEqual([1024, 8192]);
  });
});

test("Llama 3.1: scaled frequencies and several ends of text", () => {
  const config = parseConfig({
    ...LLAMA2,
    ...{ attention_bias: false, attention_dropout: 0.0, mlp_bias: false, bos_token_id: 128000 },
    ...{
      eos_token_id: [128001, 128008, 128009],
      rope_theta: 500000.0,
      vocab_size: 128256,
      num_key_value_heads: 8,
    },
    rope_scaling: {
      ...{ factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, rope_type: "llama3" },
      original_max_position_embeddings: 8192,
    },
  });
  expect(config.ropeScaling).toMatchObject({
    type: "llama3",
    factor: 8,
    originalMaxPositionEmbeddings: 8192,
  });
  expect(config.eosTokenIds).toEqual([128001, 128008, 128009]);
});

describe("Mistral 7B", () => {
  const mistral = (fields: object) =>
    parseConfig({
      ...LLAMA2,
      model_type: "mistral",
      num_key_value_heads: 8,
      intermediate_size: 14336,
      ...fields,
    });

  test("v0.1 has a window of 4,096 tokens in every layer", () => {
    const config = mistral({ sliding_window: 4096, max_position_embeddings: 32768 });
    expect([0, 31].map((layer) => attentionWindow(config, layer))).toEqual([4096, 4096]);
  });

  test("v0.3 has none, and a larger vocabulary", () => {
    const config = mistral({
      sliding_window: null,
      vocab_size: 32768,
      rope_theta: 1e6,
      attention_dropout: 0.0,
    });
    expect(config).toMatchObject({ slidingWindow: undefined, vocabSize: 32768, biases: "none" });
  });
});

test("Qwen 2.5 0.5B: biases on queries, keys and values; a window that is switched off", () => {
  const config = parseConfig({
    ...LLAMA2,
    ...{
      architectures: ["Qwen2ForCausalLM"],
      model_type: "qwen2",
      attention_dropout: 0.0,
      bos_token_id: 151643,
    },
    ...{
      eos_token_id: 151645,
      hidden_size: 896,
      intermediate_size: 4864,
      max_window_layers: 21,
      num_hidden_layers: 24,
    },
    ...{ num_attention_heads: 14, num_key_value_heads: 2, rms_norm_eps: 1e-6, rope_theta: 1000000.0 },
    ...{ sliding_window: 32768, use_sliding_window: false, tie_word_embeddings: true, vocab_size: 151936 },
  });
  expect(config).toMatchObject({ biases: "qkv", slidingWindow: undefined, headDim: 64 });
  const shapes = weightShapes(config);
  expect(shapes.get("model.layers.0.self_attn.k_proj.bias")).toEqual([128]);
  expect(shapes.has("model.layers.0.self_attn.o_proj.bias")).toBe(false);
  expect(shapes.has("lm_head.weight")).toBe(false);
});

test("Qwen 3 0.6B: heads of 128 although the hidden size says 64, each normalised", () => {
  const config = parseConfig({
    ...LLAMA2,
    ...{
      architectures: ["Qwen3ForCausalLM"],
      model_type: "qwen3",
      attention_bias: false,
      attention_dropout: 0.0,
    },
    ...{
      head_dim: 128,
      hidden_size: 1024,
      intermediate_size: 3072,
      max_window_layers: 28,
      num_hidden_layers: 28,
    },
    ...{ num_attention_heads: 16, num_key_value_heads: 8, rms_norm_eps: 1e-6, rope_theta: 1000000 },
    ...{ sliding_window: null, use_sliding_window: false, tie_word_embeddings: true, vocab_size: 151936 },
  });
  expect(config).toMatchObject({ headDim: 128, queryKeyNorm: "head", biases: "none" });
  expect(weightShapes(config).get("model.layers.3.self_attn.q_norm.weight")).toEqual([128]);
  expect(weightShapes(config).get("model.layers.3.self_attn.q_proj.weight")).toEqual([2048, 1024]);
});

test("OLMo 2 7B: outputs are normalised, queries and keys over the whole projection", () => {
  const config = parseConfig({
    ...LLAMA2,
    ...{
      architectures: ["Olmo2ForCausalLM"],
      model_type: "olmo2",
      attention_bias: false,
      attention_dropout: 0.0,
    },
    ...{
      eos_token_id: 100257,
      pad_token_id: 100277,
      rms_norm_eps: 1e-6,
      rope_theta: 500000,
      vocab_size: 100352,
    },
  });
  expect(config).toMatchObject({ blockNorm: "output", queryKeyNorm: "projection" });
  const names = [...weightShapes(config).keys()].filter(
    (name) => name.startsWith("model.layers.0.") && /norm/.test(name),
  );
  expect(names.map((name) => name.replace("model.layers.0.", "")).sort()).toEqual([
    ...["post_attention_layernorm.weight", "post_feedforward_layernorm.weight"],
    ...["self_attn.k_norm.weight", "self_attn.q_norm.weight"],
  ]);
  expect(weightShapes(config).get("model.layers.0.self_attn.q_norm.weight")).toEqual([4096]);
});

test.each([
  { model_type: "llama", attention_bias: true },
  { model_type: "mistral", sliding_window: 100 },
  { model_type: "qwen2", use_sliding_window: true, sliding_window: 64, max_window_layers: 3 },
  { model_type: "qwen3", head_dim: 64, attention_bias: true },
  { model_type: "olmo2", rms_norm_eps: 1e-6 },
])("what is written of %o is read back as it was", (fields) => {
  const config = parseConfig({ ...LLAMA2, ...fields });
  expect(parseConfig(configFile(config))).toEqual(config);
});

describe("where texts end", () => {
  const endsOf = (generation?: string) => {
    const folder = mkdtempSync(join(tmpdir(), "camelid-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "config.json"), JSON.stringify(LLAMA2));
    if (generation !== undefined) writeFileSync(join(folder, "generation_config.json"), generation);
    return readConfig(folder).config.eosTokenIds;
  };

  test("config.json says it, and generation_config.json may add to it, as chat models do", () => {
    expect(endsOf()).toEqual([2]);
    expect(endsOf('{"temperature": 0.6}')).toEqual([2]);
    expect(endsOf('{"eos_token_id": 7}')).toEqual([2, 7]);
    expect(endsOf('{"eos_token_id": [2, 7, 9]}')).toEqual([2, 7, 9]);
    expect(endsOf('{"eos_token_id": [-1, 99999]}'), "no ids of the model").toEqual([2]);
  });

  test.each(["{", '{"eos_token_id": "</s>"}', "[]"])(
    "a damaged file is an error that names it: %s",
    (text) => {
      expect(() => endsOf(text)).toThrow(/generation_config\.json/);
    },
  );
});
