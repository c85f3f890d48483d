/** What is known about a model's training data and the benchmarks, from the manifest of its mixture. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { readManifest } from "../data/mix/manifest.js";
import type { Contamination } from "./results-folder.js";

/**
 * Looks from the model's folder for the run that made it (`run/final`, `run/checkpoints/step-N`), from its settings for the
 * mixture it was trained on. Undefined where the trail ends: a fetched model, a run on a file that is no mixture.
 */
export function contaminationOf(modelFolder: string): Contamination | undefined {
  const data = trainingData(modelFolder);
  if (data === undefined) return undefined;
  const path = join(dirname(data), "manifest.json");
  if (!existsSync(path)) return undefined;
  try {
    const manifest = readManifest(path);
    const contacts: Record<string, number> = {};
    for (const source of manifest.sources) {
      for (const [benchmark, rows] of Object.entries(source.contacts)) {
        contacts[benchmark] = (contacts[benchmark] ?? 0) + rows;
      }
    }
    const { decontaminate } = manifest.settings;
    const searched = decontaminate !== undefined;
    const removed = decontaminate?.action === "remove";
    return { manifest: path, contacts, searched, removed };
  } catch {
    return undefined; // a manifest.json of another program
  }
}

function trainingData(modelFolder: string): string | undefined {
  if (!existsSync(modelFolder)) return undefined;
  const real = realpathSync(modelFolder);
  for (const run of [dirname(real), dirname(dirname(real))]) {
    try {
      const file = JSON.parse(readFileSync(join(run, "settings.json"), "utf8")) as {
        settings?: { data?: unknown };
        data?: unknown;
      };
      const data = file.settings?.data ?? file.data;
      if (typeof data === "string") return data;
    } catch {
      // Not a run folder.
    }
  }
  return undefined;
}
