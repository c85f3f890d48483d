import { createHash } from "node:crypto";
import type { TokenRow } from "./collate.js";

/**
 * One hash for what training sees of the data: ids, sources, tokens and labels of every row, in order. It changes with the
 * file, the tokenizer, the template, and every setting that renders or cuts.
 * @returns sha256 in lower-case hex
 */
export function rowsFingerprint(rows: readonly TokenRow[]): string {
  const hash = createHash("sha256");
  for (const { id, dataset, inputIds, labels } of rows) {
    hash.update(JSON.stringify([id, dataset, inputIds.length]));
    for (const { buffer, byteOffset, byteLength } of [inputIds, labels])
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex");
}
