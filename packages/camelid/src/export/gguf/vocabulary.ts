/** A tokenizer.json as llama.cpp reads vocabularies: byte-level BPE ("gpt2") and SentencePiece-like BPE ("llama"). */
import { z } from "zod";
import { ModelError } from "../../errors.js";
import type { ModelConfig } from "../../model/model-config.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { readTokenizerFiles, type TokenizerFiles } from "../../tokenizer/tokenizer-files.js";
import { effectiveChatTemplate } from "../../tokenizer/write-tokenizer.js";
import type { ParityFixtures } from "../fixtures.js";
import type { Value } from "./format.js";
import { preTokenizerName } from "./pre-tokenizers.js";
import { findSpacePrefix } from "./sentence-piece.js";

/** Codes of llama.cpp. */
const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const Bpe = z.looseObject({
  type: z.literal("BPE").optional(),
  vocab: z.record(z.string(), z.int()),
  // The library writes pairs, and wrote texts with a space until 2024.
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});
type BpeModel = z.output<typeof Bpe>;

/**
 * @param config its embedding may have more rows than there are tokens: such ids are filled up; its `eosTokenIds` end a text
 * @throws {ModelError} `ERR_GGUF_TOKENIZER` when llama.cpp has no such tokenizer
 */
export async function vocabularyMetadata(
  tokenizer: Tokenizer,
  { vocabSize: rows, eosTokenIds }: ModelConfig,
  fixtures: ParityFixtures,
): Promise<[string, Value][]> {
  const files = await readTokenizerFiles(tokenizer.folder);
  const parsed = Bpe.safeParse(files.json.model);
  if (!parsed.success) {
    throw new ModelError(
      "ERR_GGUF_TOKENIZER",
      `a ${files.json.model.type ?? "nameless"} tokenizer cannot go into GGUF.`,
      {
        where: tokenizer.folder,
        fix: "only BPE tokenizers can: byte-level ones, and SentencePiece's with byte fallback. Export with --to merged instead.",
      },
    );
  }
  const model = parsed.data;
  const isSentencePiece = model.byte_fallback === true;
  const { texts, types } = tokenList(files, model, rows, tokenizer);
  return [
    ["tokenizer.ggml.model", { type: "string", value: isSentencePiece ? "llama" : "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: isSentencePiece ? "default" : preTokenizerName(files) }],
    ["tokenizer.ggml.tokens", { type: "strings", value: texts }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
    ...(isSentencePiece ? sentencePiece(model, texts, tokenizer, fixtures) : byteLevel(model)),
    ...specialIds(tokenizer, eosTokenIds),
    ["tokenizer.chat_template", { type: "string", value: effectiveChatTemplate(tokenizer) }],
  ];
}

function tokenList(files: TokenizerFiles, { vocab }: BpeModel, rows: number, tokenizer: Tokenizer) {
  const texts = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types: number[] = Array(rows).fill(TOKEN_TYPES.unused);
  for (const [text, id] of Object.entries(vocab)) {
    texts[id] = text;
    types[id] = /^<0x[0-9A-F]{2}>$/.test(text) ? TOKEN_TYPES.byte : TOKEN_TYPES.normal;
  }
  for (const { id, content, special } of files.json.added_tokens) {
    texts[id] = content;
    types[id] = special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined;
  }
  const unknown = tokenizer.unkToken === undefined ? undefined : tokenizer.tokenToId(tokenizer.unkToken);
  if (unknown !== undefined && types[unknown] !== TOKEN_TYPES.control) types[unknown] = TOKEN_TYPES.unknown;
  return { texts, types };
}

const pairOf = (merge: string | [string, string]): [string, string] => {
  if (typeof merge !== "string") return merge;
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
};

function byteLevel({ merges }: BpeModel): [string, Value][] {
  return [
    ["tokenizer.ggml.merges", { type: "strings", value: merges.map((merge) => pairOf(merge).join(" ")) }],
  ];
}

/**
 * llama.cpp merges whatever two neighbours make a token with the highest score; the merge that is listed first gets the highest.
 * What no merge makes is never made.
 */
function sentencePiece(
  { merges }: BpeModel,
  texts: readonly string[],
  tokenizer: Tokenizer,
  fixtures: ParityFixtures,
): [string, Value][] {
  const rank = new Map<string, number>();
  merges.forEach((merge, i) => {
    const made = pairOf(merge).join("");
    if (!rank.has(made)) rank.set(made, i);
  });
  const scores = texts.map((text) => -(rank.get(text) ?? merges.length));
  const prefix = findSpacePrefix({ texts, scores }, tokenizer, fixtures);
  return [
    ["tokenizer.ggml.scores", { type: "f32s", value: scores }],
    ["tokenizer.ggml.add_space_prefix", { type: "bool", value: prefix }],
  ];
}

function specialIds(tokenizer: Tokenizer, endIds: readonly number[]): [string, Value][] {
  const ids: [string, number | undefined][] = [
    ["bos", tokenizer.bosTokenId],
    ["eos", tokenizer.eosTokenId],
    // Llama 3 ends turns with another token than texts; the file has a place for one more.
    ["eot", endIds.find((id) => id !== tokenizer.eosTokenId)],
    ["unknown", tokenizer.unkToken === undefined ? undefined : tokenizer.tokenToId(tokenizer.unkToken)],
    ["padding", tokenizer.padTokenId],
  ];
  return [
    ...ids.flatMap(([name, id]): [string, Value][] =>
      id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, { type: "u32", value: id }]],
    ),
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: tokenizer.addsBos }],
    ["tokenizer.ggml.add_eos_token", { type: "bool", value: false }],
  ];
}
