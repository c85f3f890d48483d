/**
 * Token ids of plain text for encoders of the RoBERTa family. Their folders of 2019 to 2022 often hold the byte-level BPE as
 * `vocab.json` and `merges.txt` only; the two make up a `tokenizer.json`.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import tokenizers from "tokenizers";
import { z } from "zod";
import { DataError } from "../errors.js";
import { loadTokenizer } from "./tokenizer.js";

/** Ids without `<s>` and `</s>`; special tokens written in a text stay text. */
export type EncodeTexts = (texts: readonly string[]) => Promise<number[][]>;

/** @throws {DataError} ERR_TOKENIZER_MISSING, ERR_TOKENIZER_INVALID */
export async function loadEncoderTokenizer(folder: string): Promise<EncodeTexts> {
  if (existsSync(join(folder, "tokenizer.json")) || !existsSync(join(folder, "vocab.json"))) {
    const tokenizer = await loadTokenizer(folder);
    return (texts) => Promise.all(texts.map((text) => tokenizer.encode(text)));
  }
  const native = tokenizers.Tokenizer.fromString(JSON.stringify(byteLevelBpe(folder)));
  return async (texts) => {
    const encodings = await native.encodeBatch([...texts], { addSpecialTokens: false });
    return encodings.map((encoding) => encoding.getIds());
  };
}

const Vocabulary = z.record(z.string(), z.int().min(0));

function byteLevelBpe(folder: string): unknown {
  const where = join(folder, "vocab.json");
  let vocab: z.output<typeof Vocabulary>;
  let merges: string[];
  try {
    vocab = Vocabulary.parse(JSON.parse(readFileSync(where, "utf8")));
    // The first line names the format.
    merges = readFileSync(join(folder, "merges.txt"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#version"));
  } catch (cause) {
    throw new DataError(
      "ERR_TOKENIZER_INVALID",
      `the vocabulary cannot be read (${(cause as Error).message}).`,
      {
        where,
        fix: "get vocab.json and merges.txt of the model again, or its tokenizer.json.",
        cause,
      },
    );
  }
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: null,
    decoder: bytes,
    model: { type: "BPE", vocab, merges, unk_token: "<unk>", fuse_unk: false, byte_fallback: false },
  };
}
