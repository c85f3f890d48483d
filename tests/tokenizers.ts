import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { trainByteLevelBpe } from "../packages/camelid/src/tokenizer/bpe-trainer.js";
import { loadTokenizer, type Tokenizer } from "../packages/camelid/src/tokenizer/tokenizer.js";
import {
  type TokenizerFolderSettings,
  writeTokenizerFolder,
} from "../packages/camelid/src/tokenizer/write-tokenizer.js";

/** Llama's tokenizer format with the pieces that the worked examples of the label rule need. */
export const LLAMA_FOLDER = fileURLToPath(new URL("fixtures/llama-tokenizer", import.meta.url));

export const SAMPLE_TEXT =
  `the user asked for the answer and the assistant gave the answer to the user there and then
Numbers 12 and 345, quotes 'n' "such", naïve café Füße 東京 😀😀, a\tb\n\n\nc   d <|user|>\n`.repeat(4);

export const CHATML_TEMPLATE =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** A byte-level tokenizer with the special tokens of both chat layouts, in a folder of its own. */
export async function byteLevelTokenizer(
  settings: TokenizerFolderSettings = { bosToken: "<s>", eosToken: "</s>" },
): Promise<Tokenizer> {
  const folder = await mkdtemp(join(tmpdir(), "camelid-tokenizer-"));
  const specialTokens = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"];
  const trained = trainByteLevelBpe([SAMPLE_TEXT], { vocabSize: 320, specialTokens });
  await writeTokenizerFolder(folder, trained, settings);
  return loadTokenizer(folder);
}

/** The Llama fixture with its tokenizer.json or tokenizer_config.json changed. */
export async function llamaVariant(
  change: (json: Json) => void,
  changeConfig: (config: Json) => void = () => {},
): Promise<Tokenizer> {
  const folder = await mkdtemp(join(tmpdir(), "camelid-tokenizer-"));
  for (const [name, edit] of [
    ["tokenizer.json", change],
    ["tokenizer_config.json", changeConfig],
  ] as const) {
    const json = JSON.parse(await readFile(join(LLAMA_FOLDER, name), "utf8")) as Json;
    edit(json);
    await writeFile(join(folder, name), JSON.stringify(json));
  }
  return loadTokenizer(folder);
}

// biome-ignore lint/suspicious/noExplicitAny: a tokenizer.json under edit has no useful type
export type Json = Record<string, any>;

/** A generator of test data: the same numbers for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Text that stresses tokenizers: many scripts, white space of all kinds, markers and special tokens. */
export function awkwardText(random: () => number, pieces: number, extra: readonly string[] = []): string {
  const parts = [
    ...[
      "the",
      "user",
      "answer",
      "there",
      " ",
      " ",
      "  ",
      "\n",
      "\n\n",
      "\t",
      "\r\n",
      "é",
      "e\u0301",
      "ß",
      "東",
      "京",
    ],
    ...[
      "😀",
      "👩‍👩‍👧",
      "🏳️‍🌈",
      "\u0000",
      "\u0085",
      "\u00a0",
      "\u2028",
      "\ufeff",
      "'s",
      "'LL",
      "123",
      "٣",
      "ﬁ",
      "▁",
      "<",
      "|",
      ">",
    ],
    ...[
      "<|user|>",
      "<|assistant|>",
      "<0x0A>",
      String.fromCodePoint(0x10ffff),
      "{{",
      "}}",
      "{% if %}",
      ...extra,
    ],
  ];
  return Array.from({ length: pieces }, () => {
    if (random() < 0.15) return String.fromCodePoint(0x20 + Math.floor(random() * 0x2fff));
    return parts[Math.floor(random() * parts.length)]!;
  }).join("");
}
