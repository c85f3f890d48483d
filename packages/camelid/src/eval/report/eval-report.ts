/** report.html of an evaluation: scores with their intervals, the paper's tables with a row of one's own, every item. */
import { barChart } from "../../report/bars.js";
import { figures, fold, keyValues, note, sideBySide, table } from "../../report/blocks.js";
import { type Html, type HtmlValue, html } from "../../report/html.js";
import { page, section } from "../../report/page.js";
import { radar } from "../../report/radar.js";
import { PAPER_COLUMNS, PUBLISHED_TABLES } from "../published.js";
import type { EvalMetrics } from "../results-folder.js";
import type { TaskSummary } from "../summary.js";
import { itemsSection } from "./items-section.js";
import { paperTables } from "./paper-tables.js";
import { scoreText } from "./score-text.js";

/** @param folder where the predictions lie */
export function evalReport(folder: string, metrics: EvalMetrics): string {
  const results = Object.values(metrics.tasks);
  return page({
    title: metrics.model.name,
    kind: "evaluation",
    lead: lead(metrics, results),
    body: [
      remarks(metrics, results),
      scores(metrics, results),
      paperTables(metrics),
      groups(results),
      results.map((result) => itemsSection(folder, result)),
      facts(metrics, results),
    ],
  });
}

function lead({ profile, averages }: EvalMetrics, results: readonly TaskSummary[]): HtmlValue {
  const items = results.reduce((sum, { graded }) => sum + graded, 0).toLocaleString("en-US");
  const average = averages?.eight ?? averages?.seven;
  const columns = averages?.eight === undefined ? "seven" : "eight";
  const how = profile === "tulu2-paper" ? "as the Tülu 2 paper's code did it" : "by the standard profile";
  return html`<b>${results.length} ${results.length === 1 ? "task" : "tasks"}</b>, ${items} items with a verdict, ${how}.${
    average !== undefined && html` Average of the paper's ${columns} columns: <b>${average.toFixed(1)}</b>.`
  }`;
}

/** Whatever makes a number less than it seems. */
function remarks(metrics: EvalMetrics, results: readonly TaskSummary[]): HtmlValue {
  const all: HtmlValue[] = [];
  for (const result of results) {
    const problems = problemsOf(result);
    if (problems.length > 0) all.push(note(html`<b>${nameOf(result)}.</b> ${problems.join("; ")}.`, "warn"));
    for (const text of result.notes) all.push(note(html`<b>${nameOf(result)}.</b> ${text}`));
  }
  all.push(contamination(metrics));
  if (all.every((one) => one === undefined)) return undefined;
  return section({ heading: "Remarks", note: "What to know before quoting a number.", body: all });
}

function problemsOf(result: TaskSummary): string[] {
  const { items, limit, files, upstream } = result;
  const counters: [number, string][] = [
    [result.failed, "have no verdict and are in no score"],
    [result.skipped, "were skipped and are in no score"],
    [result.truncated, "answers were cut by the token limit"],
    [result.extraction_failed, "answers had nothing to extract"],
    [result.empty, "answers were empty"],
    [result.prompt_too_long, "prompts did not fit into the context"],
  ];
  const told = counters.filter(([count]) => count > 0).map(([count, text]) => `${count} of ${items} ${text}`);
  const altered = files.filter(({ state }) => state === "altered");
  if (altered.length > 0) {
    const names = altered
      .map(({ path }) => path)
      .slice(0, 3)
      .join(", ");
    const more = altered.length > 3 ? ` and ${altered.length - 3} more` : "";
    told.push(`not the official files: ${names}${more}`);
  }
  if (limit !== undefined) told.push(`only ${items} items, evenly spread (--limit ${limit})`);
  if (upstream !== undefined && upstream.agree < upstream.compared) {
    told.push(
      `${upstream.compared - upstream.agree} of ${upstream.compared} verdicts differ from the stored ones`,
    );
  }
  return told;
}

function contamination({ contamination: known }: EvalMetrics): HtmlValue {
  if (known === undefined) return undefined;
  const hits = Object.entries(known.contacts).filter(([, rows]) => rows > 0);
  if (!known.searched) {
    return note(
      html`<b>Contamination.</b> The training mixture was not searched for benchmark texts (<code>${known.manifest}</code>).`,
      "warn",
    );
  }
  if (hits.length === 0) {
    return note(
      html`<b>Contamination.</b> No training row holds a benchmark text, says <code>${known.manifest}</code>.`,
      "good",
    );
  }
  const list = hits.map(([name, rows]) => `${name} ${rows.toLocaleString("en-US")}`).join(", ");
  const done = known.removed ? "They were taken out of the training data." : "They were trained on.";
  return note(
    html`<b>Contamination.</b> Training rows with texts of benchmarks: ${list}. ${done} (<code>${known.manifest}</code>)`,
    known.removed ? "plain" : "bad",
  );
}

function scores(metrics: EvalMetrics, results: readonly TaskSummary[]): Html {
  const large = [
    ...results
      .filter(({ unit, score }) => unit !== "%" && score !== null)
      .map((result) => ({ name: nameOf(result), value: scoreText(result), unit: result.metric })),
    ...averageFigures(metrics),
  ];
  const percent = results.filter(({ unit, score }) => unit === "%" && score !== null);
  return section({
    heading: "Scores",
    note: "Whiskers are 95 % intervals: Wilson's for shares of right answers, else a bootstrap over the items of each group.",
    body: [
      large.length > 0 && figures(large),
      percent.length > 0 &&
        barChart({
          title: "Scores",
          unit: "%",
          max: 100,
          bars: percent.map((result) => ({
            name: `${nameOf(result)}${result.lower_is_better ? " (lower is better)" : ""}`,
            value: result.score!,
            text: scoreText(result),
            ...(result.interval === null ? {} : { interval: result.interval }),
          })),
        }),
      radarOf(metrics),
      table(
        [
          { name: "task" },
          { name: "metric" },
          { name: "score", kind: "number" },
          { name: "95 %", kind: "number" },
          { name: "items", kind: "number", hint: "with a verdict" },
          { name: "right", kind: "number" },
          { name: "no verdict", kind: "number" },
          { name: "cut", kind: "number", hint: "by the token limit" },
          { name: "not extracted", kind: "number" },
        ],
        results.map((result) => [
          nameOf(result),
          result.metric,
          scoreText(result),
          result.interval === null ? "" : result.interval.map((end) => end.toFixed(1)).join(" to "),
          result.graded.toLocaleString("en-US"),
          result.right.toLocaleString("en-US"),
          result.failed + result.skipped,
          result.truncated,
          result.extraction_failed,
        ]),
      ),
    ],
  });
}

function averageFigures({ averages }: EvalMetrics): { name: string; value: string }[] {
  return [
    ...(averages?.seven === undefined ? [] : [{ name: "average of 7", value: averages.seven.toFixed(1) }]),
    ...(averages?.eight === undefined ? [] : [{ name: "average of 8", value: averages.eight.toFixed(1) }]),
  ];
}

/** Like the paper's figure: one outline a model over the benchmarks, ToxiGen turned round so that out is better. */
function radarOf({ tasks, model }: EvalMetrics): HtmlValue {
  const columns = PAPER_COLUMNS.filter(({ task }) => typeof tasks[task]?.score === "number");
  if (columns.length < 3) return undefined;
  const turned = (task: string, value: number | undefined) =>
    value !== undefined && task === "toxigen" ? 100 - value : value;
  const published = PUBLISHED_TABLES[0]!.rows.filter(({ model: name }) => BESIDE.includes(name));
  return radar({
    title: "Beside published models",
    axes: columns.map(({ task, name }) => (task === "toxigen" ? "non-toxic" : name)),
    series: [
      ...published.map(({ model: name, scores: values }, i) => ({
        name,
        color: i + 2,
        values: columns.map(({ task }) => turned(task, values[task])),
      })),
      {
        name: model.name,
        color: 1,
        main: true,
        values: columns.map(({ task }) => turned(task, tasks[task]!.score!)),
      },
    ],
  });
}

const BESIDE: readonly string[] = ["GPT-3.5-turbo-0613", "Tülu 2 7B", "Tülu 2+DPO 70B"];

/** Subjects, languages, categories. */
function groups(results: readonly TaskSummary[]): HtmlValue {
  const grouped = results.filter((result) => Object.keys(result.groups ?? {}).length > 1);
  if (grouped.length === 0) return undefined;
  return section({
    heading: "Parts",
    note: "Subjects, languages and categories of each task, and the task's other averages.",
    body: grouped.map((result) => {
      const parts = Object.entries(result.groups!);
      const chart = barChart({
        title: nameOf(result),
        unit: result.unit,
        ...(result.unit === "%" ? { max: 100 } : {}),
        bars: parts.map(([name, { score, items }]) => ({
          name: name.replaceAll("_", " "),
          value: score,
          text: `${score.toFixed(1)} of ${items}`,
        })),
      });
      const others = Object.entries(result.metrics ?? {}).map(
        ([name, value]) => [name, value.toFixed(2)] as const,
      );
      const more = others.length > 0 && keyValues(others);
      return parts.length > 12
        ? [fold(`${nameOf(result)}: ${parts.length} parts`, [more, chart])]
        : [sideBySide([chart]), more];
    }),
  });
}

function facts(metrics: EvalMetrics, results: readonly TaskSummary[]): Html {
  const files = results.flatMap((result) => result.files);
  return section({
    heading: "Facts",
    note: "What the numbers belong to.",
    body: [
      keyValues([
        ["model", metrics.model.name],
        ["identity", html`<code>${metrics.model.identity}</code>`],
        ["profile", metrics.profile],
        ["seed", metrics.seed],
        ["updated", metrics.updated],
        ...Object.entries(metrics.counters ?? {}).map(
          ([who, counts]) =>
            [
              who,
              Object.entries(counts)
                .map(([name, count]) => `${name.replaceAll("_", " ")} ${count.toLocaleString("en-US")}`)
                .join(", "),
            ] as const,
        ),
      ]),
      files.length > 0 &&
        fold(
          `${files.length} data files`,
          table(
            [{ name: "file", kind: "key" }, { name: "bytes are" }, { name: "sha256", kind: "code" }],
            files.map(({ path, state, sha256 }) => [path, state, sha256]),
          ),
        ),
    ],
  });
}

const nameOf = ({ title, run }: TaskSummary): string => (run === undefined ? title : `${title}, ${run}`);
