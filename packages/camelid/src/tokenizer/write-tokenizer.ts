import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.js";
import type { TrainedBpe } from "./bpe-trainer.js";
import type { Tokenizer } from "./tokenizer.js";
import { tuluTemplate } from "./tulu-template.js";

export interface TokenizerFolderSettings {
  /** Must be among the trained special tokens. With a BOS, every encoded text starts with it. */
  bosToken?: string;
  eosToken?: string;
  padToken?: string;
  /** Jinja source; without one, readers of the folder fall back to the Tülu layout. */
  chatTemplate?: string;
  /** What transformers calls `model_max_length`. */
  maxLength?: number;
}

/**
 * Writes tokenizer.json, tokenizer_config.json and the chat template, readable by Hugging Face tokenizers,
 * transformers 4 (template inside the configuration) and transformers 5 (template as a file).
 * @throws {DataError} ERR_SPECIAL_TOKEN when a named token was not trained
 */
export async function writeTokenizerFolder(
  folder: string,
  trained: TrainedBpe,
  settings: TokenizerFolderSettings = {},
): Promise<void> {
  for (const token of [settings.bosToken, settings.eosToken, settings.padToken]) {
    if (token === undefined || trained.specialTokens.includes(token)) continue;
    throw new DataError("ERR_SPECIAL_TOKEN", `"${token}" is not a special token of this vocabulary.`, {
      where: folder,
      fix: `train with specialTokens that include it; they are: ${trained.specialTokens.join(", ") || "none"}.`,
    });
  }
  await mkdir(folder, { recursive: true });
  await writeJson(join(folder, "tokenizer.json"), tokenizerJson(trained, settings.bosToken));
  await writeJson(join(folder, "tokenizer_config.json"), tokenizerConfig(settings));
  if (settings.chatTemplate !== undefined) await writeChatTemplate(folder, settings.chatTemplate);
}

/** The template that a model's rows are rendered with: its own, or the Tülu layout as Jinja. */
export function effectiveChatTemplate(tokenizer: Tokenizer): string {
  return tokenizer.chatTemplate ?? tuluTemplate(tokenizer);
}

/**
 * Puts a chat template beside a tokenizer that is already in `folder`, for both dialects: a model trained from a base
 * without one must travel with the template it was trained in, or other software will prompt it differently.
 */
export async function writeChatTemplate(folder: string, template: string): Promise<void> {
  const path = join(folder, "tokenizer_config.json");
  const config = JSON.parse(
    await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw error;
    }),
  ) as Record<string, unknown>;
  await writeJson(path, { ...config, chat_template: template });
  await writeFile(join(folder, "chat_template.jinja"), template);
}

/** The file of record for the library: byte-level BPE without normalizer. */
function tokenizerJson(trained: TrainedBpe, bosToken?: string): object {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: trained.specialTokens.map((content) => ({
      id: trained.vocab.get(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: bosToken === undefined ? byteLevel : bosInFront(bosToken, trained.vocab.get(bosToken)!),
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(trained.vocab),
      // One string a merge: the older spelling, which every version of the library reads.
      merges: trained.merges.map(([left, right]) => `${left} ${right}`),
    },
  };
}

function bosInFront(token: string, id: number): object {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  return {
    type: "TemplateProcessing",
    single: [special, { Sequence: { id: "A", type_id: 0 } }],
    pair: [special, { Sequence: { id: "A", type_id: 0 } }, special, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

function tokenizerConfig(settings: TokenizerFolderSettings): Record<string, unknown> {
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: settings.bosToken ?? null,
    eos_token: settings.eosToken ?? null,
    pad_token: settings.padToken ?? null,
    unk_token: null,
    model_max_length: settings.maxLength ?? 2048,
    clean_up_tokenization_spaces: false,
  };
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
