/** The rows of a part's files as one numbered list, without holding any of them. */
import { basename } from "node:path";
import type { DataError } from "../../errors.js";
import { toPlainFile } from "../files/plain-file.js";
import { indexRows, type RowIndex } from "../files/row-index.js";

export interface IndexedFile {
  readonly file: string;
  /** Where the plain rows lie: the file itself, or an unpacked copy in scratch. */
  readonly path: string;
  readonly stem: string;
  readonly index: RowIndex;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Number of the first row in the list. */
  readonly firstRow: number;
  readonly damage?: DataError;
}

export interface RowList {
  readonly files: readonly IndexedFile[];
  readonly count: number;
}

export async function listRows(
  files: readonly string[],
  scratch: string,
  onBad: "stop" | "skip",
  readable: { csvHeader?: boolean } = {},
): Promise<RowList> {
  const indexed: IndexedFile[] = [];
  let count = 0;
  for (const file of files) {
    const plain = await toPlainFile(file, scratch, onBad === "stop" ? "throw" : "keep", readable);
    const index = await indexRows(plain.path, file);
    const damage = plain.damage ?? index.damage;
    if (damage !== undefined && onBad === "stop") throw damage;
    indexed.push({
      file,
      path: plain.path,
      stem: stemOf(file),
      index,
      sha256: plain.sha256 ?? index.sha256,
      sizeBytes: plain.sizeBytes,
      firstRow: count,
      ...(damage && { damage }),
    });
    count += index.count;
  }
  return { files: indexed, count };
}

/** `a/b/pairs.jsonl.gz` -> `pairs` */
export function stemOf(file: string): string {
  return basename(file)
    .replace(/\.gz$/i, "")
    .replace(/\.[^.]+$/, "");
}

/** The file of row `i` of the list: the last one that starts at or before it. */
export function fileOfRow(list: RowList, i: number): IndexedFile {
  let low = 0;
  let high = list.files.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (list.files[middle]!.firstRow <= i) low = middle;
    else high = middle - 1;
  }
  return list.files[low]!;
}
