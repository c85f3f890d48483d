import { join } from "node:path";
import { readManifest } from "../../data/mix/manifest.js";
import type { MixSummary } from "../api.js";
import { firstRowKind } from "../rows/first-row-kind.js";

/** One line of the list of mixtures. */
export function summarizeMix(folder: string, id: string): MixSummary {
  const { mixture, totals, sources, made } = readManifest(join(folder, "manifest.json"));
  const kind = firstRowKind(join(folder, "train.jsonl"));
  return { id, name: mixture, rows: totals.written, sources: sources.length, madeAt: made.at, kind };
}
