/** The first row that parses: what `format: "auto"` looks at. */
import { closeSync, openSync, readSync } from "node:fs";
import type { RowList } from "./row-list.js";

const ROWS_TRIED = 20;

/** Undefined when no row of the first few is JSON; reading the source then reports the rows themselves. */
export function firstRow(lists: readonly RowList[]): unknown {
  for (const { path, index } of lists.flatMap((list) => list.files)) {
    const file = openSync(path, "r");
    try {
      for (let row = 0; row < Math.min(index.count, ROWS_TRIED); row++) {
        const bytes = Buffer.alloc(index.lengths[row]!);
        readSync(file, bytes, 0, bytes.length, index.starts[row]!);
        try {
          return JSON.parse(bytes.toString("utf8")) as unknown;
        } catch {
          // The next one may be whole.
        }
      }
    } finally {
      closeSync(file);
    }
  }
  return undefined;
}
