/** A task's result on one line of a terminal, what is unusual about it on the lines below. */
import type { TaskSummary } from "../../eval/summary.js";

export function scoreLine(summary: TaskSummary): string {
  const { task, run, score, unit, interval, metric, items, graded, right } = summary;
  const name = (run === undefined ? task : `${task} ${run}`).padEnd(24);
  if (score === null) return `${name} no score: none of ${items} items has a verdict${remarks(summary)}`;
  const range = interval === null ? "" : ` [${interval.map((end) => end.toFixed(1)).join(", ")}]`;
  const counts = `${right} right of ${graded}`;
  return `${name} ${score.toFixed(2)}${unit}${range}  ${metric}, ${counts}${remarks(summary)}`;
}

function remarks(summary: TaskSummary): string {
  const counters: [number, string][] = [
    [summary.failed, "without a verdict"],
    [summary.skipped, "skipped"],
    [summary.truncated, "cut by the token limit"],
    [summary.extraction_failed, "nothing extracted"],
    [summary.empty, "empty"],
    [summary.prompt_too_long, "prompts too long"],
  ];
  const told = counters.filter(([count]) => count > 0).map(([count, text]) => `${count} ${text}`);
  const altered = summary.files.filter(({ state }) => state === "altered").length;
  if (altered > 0) told.push(`${altered} data files are not the official ones`);
  const lines = told.length > 0 ? [told.join(", ")] : [];
  const { upstream } = summary;
  if (upstream !== undefined)
    lines.push(`agrees with ${upstream.agree} of ${upstream.compared} stored verdicts`);
  return [...lines, ...summary.notes].map((line) => `\n  ${line}`).join("");
}
