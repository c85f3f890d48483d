/** Rows of a job read by their byte ranges: few large reads, whatever the order of the draw. */
import { closeSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { DataError } from "../../errors.js";

export interface RowRanges {
  readonly files: readonly { readonly path: string }[];
  /** Per row: index into `files`, byte offset and byte length there. */
  readonly fileOf: Uint16Array;
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
}

/** Counted when needed only: errors are rare, and an index of line numbers would cost every file. */
export function lineOf(path: string, start: number): number {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    let line = 1;
    for (let position = 0; position < start; ) {
      const read = readSync(file, buffer, 0, Math.min(buffer.length, start - position), position);
      if (read === 0) break;
      const chunk = buffer.subarray(0, read);
      for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1)) line++;
      position += read;
    }
    return line;
  } finally {
    closeSync(file);
  }
}

const READ_AT_ONCE = 8 << 20;
/** Skipping fewer bytes than this costs more than reading them. */
const GAP = 32 << 10;

/** Reads rows in file order, neighbours in one call, and hands each to `use` as a view. */
export function readRanges(job: RowRanges, use: (index: number, bytes: Buffer) => void): void {
  const { fileOf, starts, lengths } = job;
  const order = Uint32Array.from(starts, (_, i) => i).sort(
    (a, b) => fileOf[a]! - fileOf[b]! || starts[a]! - starts[b]!,
  );
  for (let from = 0; from < order.length; ) {
    const fileIndex = fileOf[order[from]!]!;
    const { path } = job.files[fileIndex]!;
    const file = openSync(path, "r");
    try {
      while (from < order.length && fileOf[order[from]!] === fileIndex) {
        const begin = starts[order[from]!]!;
        let end = begin + lengths[order[from]!]!;
        let to = from + 1;
        for (; to < order.length && fileOf[order[to]!] === fileIndex; to++) {
          const start = starts[order[to]!]!;
          const next = Math.max(end, start + lengths[order[to]!]!);
          if (start - end > GAP || next - begin > READ_AT_ONCE) break;
          end = next;
        }
        const block = readFully(file, path, begin, end - begin);
        for (; from < to; from++) {
          const index = order[from]!;
          const offset = starts[index]! - begin;
          use(index, block.subarray(offset, offset + lengths[index]!));
        }
      }
    } finally {
      closeSync(file);
    }
  }
}

function readFully(file: number, path: string, position: number, length: number): Buffer {
  const block = Buffer.allocUnsafeSlow(length);
  for (let filled = 0; filled < length; ) {
    const read = readSync(file, block, filled, length - filled, position + filled);
    if (read === 0) {
      throw new DataError("ERR_DATA_CHANGED", `${basename(path)} became shorter while it was read.`, {
        where: `${path} byte ${position + filled}`,
        fix: "run again when nothing writes to it.",
      });
    }
    filled += read;
  }
  return block;
}
