/** Tiny models of every family with a tokenizer of the kind that the family has, for exports. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { parseConfig } from "../../packages/camelid/src/model/config.js";
import { initModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { trainByteLevelBpe } from "../../packages/camelid/src/tokenizer/bpe-trainer.js";
import { writeTokenizerFolder } from "../../packages/camelid/src/tokenizer/write-tokenizer.js";
import { CHATML_TEMPLATE, SAMPLE_TEXT } from "../tokenizers.js";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const WORDS = (digits: string) =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const LLAMA3 = {
  ...{ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 32,
};

const BASE = {
  ...{
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
  },
  ...{ max_position_embeddings: 256, rms_norm_eps: 1e-5, initializer_range: 0.15 },
};

const VARIANTS = {
  llama: { config: { model_type: "llama" }, words: undefined },
  llama3: {
    config: { model_type: "llama", rope_theta: 500_000, rope_scaling: LLAMA3, tie_word_embeddings: true },
    words: WORDS("\\p{N}{1,3}"),
  },
  "llama-spm": { config: { model_type: "llama" }, words: undefined },
  "llama-metaspace": { config: { model_type: "llama" }, words: undefined },
  mistral: {
    config: { model_type: "mistral", sliding_window: 200, head_dim: 24, intermediate_size: 80 },
    words: undefined,
  },
  qwen2: { config: { model_type: "qwen2", tie_word_embeddings: true }, words: WORDS("\\p{N}") },
  qwen3: { config: { model_type: "qwen3", head_dim: 32, rope_theta: 1e6 }, words: WORDS("\\p{N}") },
  olmo2: { config: { model_type: "olmo2", rope_theta: 500_000 }, words: WORDS("\\p{N}{1,3}") },
} as const;

export type FamilyName = keyof typeof VARIANTS;

/** Writes the model folder, with weights that give clear winners. @returns the folder */
export async function familyModel(
  family: FamilyName,
  folder: string,
  dtype: "float32" | "bfloat16" = "float32",
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const { config, words } = VARIANTS[family];
  const vocabSize =
    family === "llama-spm" || family === "llama-metaspace"
      ? sentencePiece(folder, family === "llama-metaspace")
      : await byteLevel(folder, words, family);
  torch.manualSeed(7);
  using model = initModel(
    // Larger than the vocabulary, as embeddings often are.
    parseConfig({
      ...BASE,
      vocab_size: vocabSize + 3,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: dtype,
      ...config,
    }),
  );
  torch.noGrad(() => {
    for (const [name, weight] of model.namedParameters()) {
      if (name.endsWith(".bias")) weight.normal_(0, 0.2);
      else if (weight.shape.length === 1) weight.uniform_(0.5, 1.5);
    }
  });
  saveModel(model, folder);
  return folder;
}

async function byteLevel(folder: string, words: string | undefined, family: FamilyName): Promise<number> {
  const specialTokens = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"];
  const trained = trainByteLevelBpe([SAMPLE_TEXT], { vocabSize: 380, specialTokens });
  const isChatMl = family.startsWith("qwen");
  await writeTokenizerFolder(folder, trained, {
    ...(isChatMl
      ? { eosToken: "<|im_end|>", chatTemplate: CHATML_TEMPLATE }
      : { bosToken: "<s>", eosToken: "</s>" }),
  });
  if (words === undefined) return trained.vocab.size;
  const path = join(folder, "tokenizer.json");
  const json = JSON.parse(readFileSync(path, "utf8"));
  json.pre_tokenizer = {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: words }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  };
  json.model.ignore_merges = family === "llama3";
  writeFileSync(path, JSON.stringify(json));
  return trained.vocab.size;
}

/** Llama 2's kind of tokenizer over a small alphabet: `▁` for spaces, bytes for what has no piece, BOS in front. */
function sentencePiece(folder: string, metaspace: boolean): number {
  const specials = ["<unk>", "<s>", "</s>"];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const text = SAMPLE_TEXT.replaceAll(" ", "▁").replaceAll("\n", "");
  const pieces = [...new Set(`▁${text}`)];
  const merges: [string, string][] = [];
  // Greedy pair merging on the words of the sample, `▁` in front of each.
  let rows = text.split(/(?=▁)/).map((word) => [...word]);
  for (let i = 0; i < 120; i++) {
    const counts = new Map<string, number>();
    for (const row of rows)
      for (let j = 1; j < row.length; j++) {
        const pair = `${row[j - 1]} ${row[j]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    const best = [...counts]
      .filter(([, count]) => count > 1)
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
    if (best === undefined) break;
    const [left, right] = best[0].split(" ") as [string, string];
    if (pieces.includes(left + right)) break; // a piece that two pairs make would have two ranks
    merges.push([left, right]);
    pieces.push(left + right);
    rows = rows.map((row) => mergePair(row, left, right));
  }
  const vocab = Object.fromEntries([...specials, ...bytes, ...pieces].map((piece, id) => [piece, id]));
  const added = specials.map((content, id) => ({
    ...{ id, content, special: true, lstrip: false, rstrip: false, single_word: false, normalized: false },
  }));
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
  // As transformers writes them since 2024: `▁` in front of the very first stretch only.
  const newer = {
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
  };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(metaspace ? { ...json, ...newer } : json));
  const config = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", add_bos_token: true };
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  return Object.keys(vocab).length;
}

function mergePair(row: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (const piece of row) {
    if (merged.at(-1) === left && piece === right) merged[merged.length - 1] = left + right;
    else merged.push(piece);
  }
  return merged;
}

/** A copy of a model folder, to be changed. */
export function copyOf(folder: string, to: string): string {
  rmSync(to, { recursive: true, force: true });
  cpSync(folder, to, { recursive: true });
  return to;
}
