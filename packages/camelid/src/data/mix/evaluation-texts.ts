/** The texts a mixture is decontaminated against: published evaluation sets and the user's own files. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { DataError } from "../../errors.js";
import type { DecontaminationSettings } from "../mixture.js";
import { readBenchmarkTexts } from "../quality/benchmark-texts.js";
import type { BenchmarkText } from "../quality/decontaminate.js";

/** @throws {DataError | SettingsError} when a set is missing or unreadable */
export function evaluationTexts({ benchmarks, files }: DecontaminationSettings): BenchmarkText[] {
  const texts = benchmarks === undefined ? [] : readBenchmarkTexts(benchmarks.folder, benchmarks.names).texts;
  for (const { name, files: paths } of files ?? []) {
    for (const path of paths) {
      for (const [i, row] of readRows(path).entries()) {
        for (const text of stringsOf(row)) texts.push({ benchmark: name, id: `${i}`, text });
      }
    }
  }
  return texts;
}

/** Evaluation files are small: a JSON array or JSON lines, plain or gzipped, read whole. */
function readRows(path: string): unknown[] {
  try {
    const bytes = readFileSync(path);
    const text = (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("utf8").trim();
    if (text.startsWith("[")) return JSON.parse(text) as unknown[];
    return text.split("\n").map((line) => JSON.parse(line) as unknown);
  } catch (cause) {
    throw new DataError(
      "ERR_MIX_EVALUATION",
      `the evaluation file cannot be read: ${(cause as Error).message}`,
      {
        where: path,
        fix: "give a JSON array or JSON lines, plain or gzipped.",
        cause,
      },
    );
  }
}

function stringsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsOf);
}
