/**
 * How llama.cpp cuts a text into words before merging bytes: it has a fixed list of ways, each with a name. A tokenizer.json
 * gives regular expressions, so they are looked up here.
 */
import { ModelError } from "../../errors.js";
import type { TokenizerFiles } from "../../tokenizer/tokenizer-files.js";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
/** Llama 3, GPT-4, OLMo 2: numbers in groups of three. */
const THREE_DIGITS = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}${REST}`;
/** Qwen: every digit alone. */
const ONE_DIGIT = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${REST}`;
/** Mistral Nemo. */
const TEKKEN =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

interface PreStage {
  type: string;
  pretokenizers?: PreStage[];
  pattern?: { Regex?: string; String?: string };
  behavior?: string;
  invert?: boolean;
  use_regex?: boolean;
  add_prefix_space?: boolean;
  individual_digits?: boolean;
}

/** @throws {ModelError} `ERR_GGUF_TOKENIZER` when llama.cpp has none that cuts alike */
export function preTokenizerName({ json, folder }: TokenizerFiles): string {
  const stages = flatten(json.pre_tokenizer as PreStage | null | undefined);
  const mergesWholeWords = (json.model as { ignore_merges?: boolean }).ignore_merges === true;
  const name = nameOf(stages.map(describe).join(" + "), mergesWholeWords);
  if (name !== undefined) return name;
  throw new ModelError(
    "ERR_GGUF_TOKENIZER",
    "llama.cpp has no pre-tokenizer that cuts texts as this one does.",
    {
      where: `${folder}: ${JSON.stringify(json.pre_tokenizer)}`,
      fix: "export with --to merged instead.",
    },
  );
}

function nameOf(description: string, mergesWholeWords: boolean): string | undefined {
  switch (description) {
    case "words":
      return "gpt-2";
    case "digits + words":
      return "starcoder";
    case `split ${THREE_DIGITS} + bytes`:
      // The same words; "llama-bpe" also takes a word that is a token as it is, without merging it together.
      return mergesWholeWords ? "llama-bpe" : "dbrx";
    case `split ${ONE_DIGIT} + bytes`:
      return "qwen2";
    case `split ${TEKKEN} + bytes`:
      return "tekken";
    default:
      return undefined;
  }
}

function flatten(stage: PreStage | null | undefined): PreStage[] {
  if (stage === null || stage === undefined) return [];
  return stage.type === "Sequence" ? (stage.pretokenizers ?? []).flatMap(flatten) : [stage];
}

function describe(stage: PreStage): string {
  const { type, pattern, behavior, invert = false } = stage;
  if (type === "ByteLevel" && stage.add_prefix_space !== true)
    return stage.use_regex === false ? "bytes" : "words";
  if (type === "Digits" && stage.individual_digits === true) return "digits";
  const isPlainSplit = type === "Split" && behavior === "Isolated" && !invert;
  return isPlainSplit && pattern?.Regex !== undefined ? `split ${pattern.Regex}` : `another ${type}`;
}
