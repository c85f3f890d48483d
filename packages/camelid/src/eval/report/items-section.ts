/** The items of a task, to be looked through. */
import { note } from "../../report/blocks.js";
import { type HtmlValue, html } from "../../report/html.js";
import { type BrowserItem, type ItemVerdict, itemBrowser } from "../../report/item-browser.js";
import { section } from "../../report/page.js";
import type { Prediction } from "../predictions.js";
import { readPredictions } from "../results-folder.js";
import type { TaskSummary } from "../summary.js";

/** A page with every item of MMLU would be a hundred megabytes; so many of each verdict are in it. */
const PER_VERDICT = 60;
/** Characters of a text; the middle of longer ones is left out. */
const LONGEST = 3000;

export function itemsSection(folder: string, summary: TaskSummary): HtmlValue {
  let predictions: Prediction[];
  try {
    predictions = readPredictions(folder, summary);
  } catch {
    return section({
      heading: `${summary.title}: items`,
      body: note(
        html`The predictions file <code>${summary.predictions}</code> is not there, or not whole.`,
        "warn",
      ),
    });
  }
  const counts: Record<ItemVerdict, number> = { right: 0, wrong: 0, failed: 0, skipped: 0 };
  for (const { verdict } of predictions) counts[verdict]++;
  const shown = sampleOf(predictions, counts);
  const name = summary.run === undefined ? summary.task : `${summary.task}-${summary.run}`;
  const all =
    shown.length === predictions.length
      ? "All items."
      : `${shown.length} of ${predictions.length.toLocaleString("en-US")} items, evenly spread over each verdict.`;
  return section({
    heading: `${summary.title}${summary.run === undefined ? "" : ` ${summary.run}`}: items`,
    note: html`${all} The whole file: <code>${summary.predictions}</code>.`,
    body: itemBrowser({ name: name.replaceAll(/[^\w-]/g, "-"), counts, items: shown.map(toItem) }),
  });
}

function sampleOf(
  predictions: readonly Prediction[],
  counts: Readonly<Record<ItemVerdict, number>>,
): Prediction[] {
  const seen: Record<ItemVerdict, number> = { right: 0, wrong: 0, failed: 0, skipped: 0 };
  return predictions.filter(({ verdict }) => {
    const [count, place] = [counts[verdict], seen[verdict]++];
    if (count <= PER_VERDICT) return true;
    return Math.floor((place * PER_VERDICT) / count) !== Math.floor(((place - 1) * PER_VERDICT) / count);
  });
}

function toItem(prediction: Prediction): BrowserItem {
  const {
    id,
    verdict,
    extracted,
    target,
    score,
    prompt,
    output,
    rounds = [],
    note: remark,
    reason,
  } = prediction;
  const flags = [
    ...(prediction.truncated ? ["cut"] : []),
    ...(prediction.extraction_failed ? ["nothing extracted"] : []),
    ...(prediction.prompt_too_long ? ["prompt too long"] : []),
    ...(prediction.upstream_score !== undefined && prediction.upstream_score !== score
      ? ["stored verdict differs"]
      : []),
  ];
  const partial = score !== null && score !== 0 && score !== 1;
  return {
    id,
    verdict,
    flags,
    facts: html`${extracted !== null && html`${short(extracted)}`}${
      target !== undefined && html` <small>wanted</small> ${short(target)}`
    }${partial && html` <small>score</small> ${score.toFixed(2)}`}`,
    texts: [
      ...(prompt === null ? [] : [{ name: "prompt", text: clipped(prompt) }]),
      { name: "output", text: clipped(output) },
      ...rounds.flatMap((round, i) => [
        ...(round.prompt === null ? [] : [{ name: `to ${round.to}, ${i + 2}`, text: clipped(round.prompt) }]),
        { name: `answer ${i + 2}`, text: clipped(round.output) },
      ]),
      ...(target === undefined ? [] : [{ name: "wanted", text: clipped(target) }]),
      ...(extracted === null ? [] : [{ name: "extracted", text: clipped(extracted) }]),
      ...(remark === undefined ? [] : [{ name: "note", text: clipped(remark) }]),
      ...(reason === undefined ? [] : [{ name: "why no verdict", text: clipped(reason) }]),
    ],
  };
}

function short(text: string): string {
  const line = text.trim().split("\n")[0]!;
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
}

function clipped(text: string): string {
  if (text.length <= LONGEST) return text;
  const [head, tail] = [text.slice(0, LONGEST / 3), text.slice(-(2 * LONGEST) / 3)];
  return `${head}\n[… ${text.length - LONGEST} characters …]\n${tail}`;
}
