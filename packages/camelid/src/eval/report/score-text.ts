import type { TaskSummary } from "../summary.js";

/** `56.2`; a dash where there is no score. */
export function scoreText({ score, unit }: Pick<TaskSummary, "score" | "unit">): string {
  if (score === null) return "–";
  return score.toFixed(unit === "%" ? 1 : 2);
}
