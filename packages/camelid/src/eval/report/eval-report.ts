import type { EvalMetrics } from "../results-folder.js";

export function evalReport(_folder: string, metrics: EvalMetrics): string {
  return JSON.stringify(metrics);
}
