import type { Encoding, Tokenizer as NativeTokenizer } from "tokenizers";
import tokenizers from "tokenizers";
import { DataError } from "../errors.js";
import { refuseAbortingFile } from "./aborting-files.js";
import type { TokenizerFiles, TokenizerJson } from "./tokenizer-files.js";

/**
 * The native library without special tokens.
 *
 * A tokenizer.json parses special tokens wherever their text occurs, so `</s>` typed by a user would end a turn. Here
 * the special tokens are taken out of the file before the library sees it: their text is ordinary text, and callers
 * put the ids between the stretches themselves (see `splitAtSpecials`). Added tokens that are not special stay.
 */
export interface StretchTokenizer {
  /** One native call for all texts, on the library's threads (`RAYON_NUM_THREADS`). */
  encode(texts: string[]): Promise<EncodedStretch[]>;
  /** Pieces -> text, by the file's decoder. */
  decodeTokens(tokens: string[]): string;
}

/** Ids of a stretch, and where a character fell. Positions count code points, not UTF-16 units. */
export interface EncodedStretch {
  /** Number of tokens. */
  readonly length: number;
  /** Taken out of the library when first asked for: a tenth of the whole work, which counting does without. */
  readonly ids: readonly number[];
  /** The first token that holds the code point at `position`, or undefined (dropped by the normalizer). */
  charToToken(position: number): number | undefined;
  /** Code point range of a token. */
  tokenToChars(token: number): readonly [number, number] | undefined;
}

/** Where a stretch stands and whether a dummy prefix (`▁`) may be put in front of it. */
export interface StretchPlace {
  /** `head` starts the text, `inner` follows a special token. SentencePiece's newer rule tells them apart. */
  place: "head" | "inner";
  /** `never` removes the dummy prefix even where the file asks for it: variant C of the Tülu label rule. */
  dummyPrefix: "as-file" | "never";
}

export function stretchTokenizer(files: TokenizerFiles, place: StretchPlace): StretchTokenizer {
  refuseAbortingFile(files.json, `${files.folder}/tokenizer.json`);
  const native = fromJson(files, withoutSpecials(files.json, place));
  const decoder = native.getDecoder();
  const idByStrippedId = remapping(files.json, native);
  const translate =
    idByStrippedId.size === 0
      ? (ids: number[]) => ids
      : (ids: number[]) => ids.map((id) => idByStrippedId.get(id) ?? id);
  return {
    async encode(texts) {
      const encodings = await native.encodeBatch(texts, { addSpecialTokens: false });
      return encodings.map((encoding) => new NativeStretch(encoding, translate));
    },
    decodeTokens: (tokens) => decoder?.decode(tokens) ?? tokens.join(" "),
  };
}

/** Places with equal keys share one tokenizer; for most models all of them do. */
export function stretchKey(json: TokenizerJson, place: StretchPlace): string {
  return JSON.stringify(stagesAt(json, place));
}

class NativeStretch implements EncodedStretch {
  readonly length: number;
  readonly #encoding: Encoding;
  readonly #translate: (ids: number[]) => number[];
  #ids: number[] | undefined;

  constructor(encoding: Encoding, translate: (ids: number[]) => number[]) {
    this.length = encoding.getLength();
    this.#encoding = encoding;
    this.#translate = translate;
  }

  get ids(): readonly number[] {
    this.#ids ??= this.#translate(this.#encoding.getIds());
    return this.#ids;
  }

  charToToken(position: number): number | undefined {
    return this.#encoding.charToToken(position) ?? undefined;
  }

  tokenToChars(token: number): readonly [number, number] | undefined {
    return this.#encoding.tokenToChars(token) ?? undefined;
  }
}

function fromJson(files: TokenizerFiles, json: unknown): NativeTokenizer {
  try {
    return tokenizers.Tokenizer.fromString(JSON.stringify(json));
  } catch (cause) {
    throw new DataError(
      "ERR_TOKENIZER_INVALID",
      `the tokenizer cannot be built: ${(cause as Error).message}.`,
      {
        where: `${files.folder}/tokenizer.json`,
        fix: "use a tokenizer written by Hugging Face tokenizers or transformers.",
        cause,
      },
    );
  }
}

function withoutSpecials(json: TokenizerJson, place: StretchPlace): unknown {
  const specials = new Set(json.added_tokens.filter((token) => token.special).map((token) => token.content));
  return {
    ...json,
    // Length and special tokens are the renderer's business; trimmed offsets would move label borders.
    truncation: null,
    padding: null,
    post_processor: null,
    added_tokens: json.added_tokens.filter((token) => !token.special),
    ...stagesAt(json, place),
    model: { ...json.model, dropout: null, ...hideSpecialPieces(json.model, specials) },
  };
}

function stagesAt(json: TokenizerJson, place: StretchPlace): { normalizer: Stage; pre_tokenizer: Stage } {
  return {
    normalizer: place.dummyPrefix === "never" ? withoutPrepend(json.normalizer) : json.normalizer,
    pre_tokenizer: withPrependScheme(json.pre_tokenizer, place),
  };
}

/**
 * Merges never build `</s>`, but a model that looks whole words up in its vocabulary (WordPiece, Unigram, BPE with
 * `ignore_merges`) would. Renaming the piece keeps every id in place and makes it unreachable from text.
 */
function hideSpecialPieces(model: TokenizerJson["model"], specials: Set<string>): { vocab?: unknown } {
  if (model.type === "BPE" && model.ignore_merges !== true) return {};
  const hidden = (piece: string) =>
    specials.has(piece) && piece !== model.unk_token ? `\u{10FFFF}${piece}` : piece;
  if (Array.isArray(model.vocab))
    return { vocab: model.vocab.map(([piece, score]) => [hidden(piece), score]) };
  return { vocab: Object.fromEntries(Object.entries(model.vocab).map(([piece, id]) => [hidden(piece), id])) };
}

type Stage = { type: string; [key: string]: unknown } | null | undefined;

function withoutPrepend(normalizer: Stage): Stage {
  if (normalizer?.type === "Prepend") return null;
  if (normalizer?.type !== "Sequence") return normalizer;
  return {
    ...normalizer,
    normalizers: (normalizer.normalizers as Stage[]).map(withoutPrepend).filter(Boolean),
  };
}

function withPrependScheme(stage: Stage, { place, dummyPrefix }: StretchPlace): Stage {
  if (stage?.type === "Sequence") {
    const inner = (stage.pretokenizers as Stage[]).map((each) =>
      withPrependScheme(each, { place, dummyPrefix }),
    );
    return { ...stage, pretokenizers: inner };
  }
  if (stage?.type !== "Metaspace") return stage;
  const never = dummyPrefix === "never" || (place === "inner" && stage.prepend_scheme === "first");
  if (!never) return stage;
  const { add_prefix_space: _, ...rest } = stage;
  return { ...rest, prepend_scheme: "never" };
}

/** Without the special tokens the library may number the remaining added tokens anew. */
function remapping(json: TokenizerJson, native: NativeTokenizer): Map<number, number> {
  const pairs = json.added_tokens
    .filter((token) => !token.special)
    .map((token) => [native.tokenToId(token.content) ?? token.id, token.id] as const);
  return new Map(pairs.filter(([stripped, id]) => stripped !== id));
}
