import { DataError } from "../errors.js";
import type { TokenizerJson } from "./tokenizer-files.js";

/**
 * Refuses files on which the native library ends the whole process instead of throwing.
 * @throws {DataError} ERR_TOKENIZER_INVALID
 */
export function refuseAbortingFile({ model }: TokenizerJson, where: string): void {
  const { type, continuing_subword_prefix: prefix, merges } = model as Record<string, unknown>;
  if ((type ?? "BPE") !== "BPE" || typeof prefix !== "string" || prefix === "" || !Array.isArray(merges))
    return;
  // A model without a type is taken for BPE where it has merges. The prefix is cut off the right part of every merge,
  // whether it is there or not.
  const bad = merges.find((merge) => !rightPart(merge).startsWith(prefix));
  if (bad === undefined) return;
  throw new DataError(
    "ERR_TOKENIZER_INVALID",
    `the merge ${JSON.stringify(bad)} does not continue a word: its second part lacks the prefix ${JSON.stringify(prefix)}.`,
    {
      where,
      fix: "correct continuing_subword_prefix, or use a tokenizer written by Hugging Face tokenizers.",
    },
  );
}

/** Merges are written as "a b" or as ["a", "b"]. */
function rightPart(merge: unknown): string {
  const parts = typeof merge === "string" ? merge.split(" ") : merge;
  const right: unknown = Array.isArray(parts) ? parts[1] : undefined;
  return typeof right === "string" ? right : "";
}
