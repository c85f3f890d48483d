/** Demonstrations that a user supplies as JSON lines. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { DataError } from "../../errors.js";

/**
 * The first `count` rows of a file of demonstrations.
 * @param keys text fields every row must have
 * @throws {DataError} ERR_EVAL_EXEMPLARS, naming the line and the field
 */
export function readExemplarFile(
  file: string,
  keys: readonly string[],
  count: number,
): Readonly<Record<string, string>>[] {
  const rows = parse(file).map((row, index) => {
    const missing = keys.find((key) => typeof (row as Record<string, unknown> | null)?.[key] !== "string");
    if (missing === undefined) return row as Record<string, string>;
    throw problem(`${file} row ${index + 1}`, `the row has no text "${missing}"`, keys);
  });
  if (rows.length < count) throw problem(file, `the file has ${rows.length} rows, ${count} are wanted`, keys);
  return rows.slice(0, count);
}

function parse(file: string): unknown[] {
  let text: string;
  try {
    const bytes = readFileSync(file);
    text = (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (error) {
    throw problem(file, `the file cannot be read (${(error as Error).message})`, []);
  }
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, index) => {
      try {
        return JSON.parse(line);
      } catch {
        throw problem(`${file} line ${index + 1}`, "the line is not JSON", []);
      }
    });
}

function problem(where: string, what: string, keys: readonly string[]): DataError {
  const shape = keys.map((key) => `"${key}": "..."`).join(", ");
  return new DataError("ERR_EVAL_EXEMPLARS", `a file of examples cannot be used: ${what}.`, {
    where,
    fix: shape === "" ? "check the path and the file." : `write one JSON object a line: {${shape}}.`,
  });
}
