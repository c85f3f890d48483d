/** A model, a tokenizer and rows small enough that a whole training run takes a second. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { parseConfig } from "../packages/camelid/src/model/config.js";
import { initModel } from "../packages/camelid/src/model/load.js";
import { saveModel } from "../packages/camelid/src/model/save.js";
import { trainByteLevelBpe } from "../packages/camelid/src/tokenizer/bpe-trainer.js";
import { writeTokenizerFolder } from "../packages/camelid/src/tokenizer/write-tokenizer.js";

export interface TinyModel {
  /** Model folder: about 40,000 random weights in `dtype`, and a byte-level tokenizer. */
  model: string;
  /** JSONL file of conversations from two sources, of different lengths. */
  data: string;
}

export interface TinyModelOptions {
  rows?: number;
  seed?: number;
  dtype?: "float32" | "bfloat16" | "float16";
}

/** Writes both into `folder`; the same options give the same bytes. */
export async function writeTinyModel(
  folder: string,
  { rows = 40, seed = 1, dtype = "float32" }: TinyModelOptions = {},
): Promise<TinyModel> {
  const [model, data] = [join(folder, "model"), join(folder, "rows.jsonl")];
  mkdirSync(folder, { recursive: true });
  const conversations = Array.from({ length: rows }, (_, i) => conversation(i, random(seed + i)));
  writeFileSync(data, conversations.map((row) => `${JSON.stringify(row)}\n`).join(""));

  const texts = conversations.flatMap(({ messages }) => messages.map(({ content }) => content));
  const trained = trainByteLevelBpe(texts, { vocabSize: 320, specialTokens: ["<unk>", "<s>", "</s>"] });
  const config = parseConfig({
    model_type: "llama",
    vocab_size: trained.vocab.size,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 256,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: dtype,
  });
  torch.manualSeed(seed);
  using weights = initModel(config);
  saveModel(weights, model);
  await writeTokenizerFolder(model, trained, { bosToken: "<s>", eosToken: "</s>" });
  return { model, data };
}

const WORDS = "alpaca guanaco llama vicuna camel water grass hill cloud two seven red blue slow".split(" ");

function conversation(index: number, next: () => number) {
  const phrase = (words: number): string =>
    Array.from({ length: words }, () => WORDS[Math.floor(next() * WORDS.length)]!).join(" ");
  const turns = 1 + Math.floor(next() * 2);
  const messages = Array.from({ length: turns }, () => [
    { role: "user", content: `${phrase(2 + Math.floor(next() * 4))}?` },
    { role: "assistant", content: `${phrase(1 + Math.floor(next() * 12))}.` },
  ]).flat();
  return { dataset: index % 3 === 0 ? "hills" : "plains", id: `row-${index}`, messages };
}

/** mulberry32: enough for made-up rows. @returns numbers in [0, 1) */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
