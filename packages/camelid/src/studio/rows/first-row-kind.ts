import { closeSync, openSync, readSync } from "node:fs";
import type { FileSummary } from "../api.js";
import { rowKind } from "./row-view.js";

/** By the first row; `other` also where it is longer than what is read of it. */
export function firstRowKind(path: string): FileSummary["kind"] {
  const buffer = Buffer.alloc(256 << 10);
  const file = openSync(path, "r");
  try {
    const read = readSync(file, buffer, 0, buffer.length, 0);
    const end = buffer.indexOf(0x0a);
    return rowKind(JSON.parse(buffer.toString("utf8", 0, end < 0 ? read : end)) ?? {});
  } catch {
    return "other";
  } finally {
    closeSync(file);
  }
}
