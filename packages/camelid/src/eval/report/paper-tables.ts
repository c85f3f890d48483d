/** The paper's tables with a row of one's own in front. */
import { fold, table } from "../../report/blocks.js";
import { type Html, type HtmlValue, html } from "../../report/html.js";
import { section } from "../../report/page.js";
import {
  MT_BENCH_BY_CATEGORY,
  MT_BENCH_CATEGORIES,
  MT_BENCH_TABLE,
  PAPER_COLUMNS,
  PUBLISHED_TABLES,
  type PublishedTable,
} from "../published.js";
import type { EvalMetrics } from "../results-folder.js";

/** Nothing when no task of the paper was run. */
export function paperTables(metrics: EvalMetrics): HtmlValue {
  const { tasks } = metrics;
  const any = PAPER_COLUMNS.some(({ task }) => tasks[task] !== undefined) || tasks["mt-bench"] !== undefined;
  if (!any) return undefined;
  const [first, ...others] = PUBLISHED_TABLES;
  return section({
    heading: "Beside the paper",
    note: html`Your row first, then the rows as printed (arXiv 2311.10702v2). ${
      metrics.profile === "standard" &&
      "The published numbers were made with the profile tulu2-paper; these were not, so compare with care."
    }`,
    body: [
      html`<h3>Table ${first!.number} <small>${first!.title}</small></h3>`,
      paperTable(first!, metrics),
      others.slice(0, 1).map((one) => folded(one, metrics)),
      fold("Table 4: MT-Bench, AlpacaEval and length of answers", mtBenchTable(metrics)),
      others.slice(1).map((one) => folded(one, metrics)),
      fold("Table 8: MT-Bench by category", mtBenchCategories(metrics)),
    ],
  });
}

function folded(one: PublishedTable, metrics: EvalMetrics): Html {
  return fold(`Table ${one.number}: ${one.title}`, paperTable(one, metrics));
}

function paperTable({ rows, average }: PublishedTable, { tasks, averages, model }: EvalMetrics): Html {
  const columns = PAPER_COLUMNS.filter(({ task }) => average === "eight" || task !== "truthfulqa");
  const own = columns.map(({ task }) => {
    const score = tasks[task]?.score;
    return typeof score === "number" ? html`<b>${score.toFixed(1)}</b>` : "–";
  });
  const ownAverage = averages?.[average];
  return table(
    [
      { name: "model" },
      ...columns.map(({ name, detail }) => ({ name, kind: "number" as const, hint: detail })),
      { name: "average", kind: "number" },
    ],
    [
      [
        html`<b>${model.name}</b>`,
        ...own,
        ownAverage === undefined ? "–" : html`<b>${ownAverage.toFixed(1)}</b>`,
      ],
      ...rows.map(({ model: name, scores, average: printed, remark }) => [
        remark === undefined ? name : html`<span title="${remark}">${name} <small>*</small></span>`,
        ...columns.map(({ task }) => scores[task]?.toFixed(1) ?? "–"),
        printed?.toFixed(1) ?? "–",
      ]),
    ],
  );
}

function mtBenchTable({ tasks, model }: EvalMetrics): Html {
  const number = (value: number | null | undefined, digits: number) =>
    typeof value === "number" ? html`<b>${value.toFixed(digits)}</b>` : "–";
  return table(
    [
      { name: "model" },
      { name: "MT-Bench", kind: "number" },
      { name: "AlpacaEval", kind: "number", hint: "% win" },
      { name: "length", kind: "number", hint: "mean characters of the AlpacaEval answers" },
    ],
    [
      [
        html`<b>${model.name}</b>`,
        number(tasks["mt-bench"]?.score, 2),
        number(tasks["alpaca-eval"]?.score, 1),
        number(tasks["alpaca-eval"]?.metrics?.["mean length in characters"], 0),
      ],
      ...MT_BENCH_TABLE.map(({ model: name, mtBench, alpacaEval, length }) => [
        name,
        mtBench.toFixed(2),
        alpacaEval.toFixed(1),
        length.toLocaleString("en-US"),
      ]),
    ],
  );
}

function mtBenchCategories({ tasks, model }: EvalMetrics): Html {
  const own = tasks["mt-bench"];
  return table(
    [
      { name: "model" },
      ...MT_BENCH_CATEGORIES.map((name) => ({ name, kind: "number" as const })),
      { name: "average", kind: "number" },
    ],
    [
      [
        html`<b>${model.name}</b>`,
        ...MT_BENCH_CATEGORIES.map((name) => own?.groups?.[name]?.score.toFixed(2) ?? "–"),
        typeof own?.score === "number" ? own.score.toFixed(2) : "–",
      ],
      ...MT_BENCH_BY_CATEGORY.map(({ model: name, scores, average }) => [
        name,
        ...scores.map((score) => score.toFixed(2)),
        average.toFixed(2),
      ]),
    ],
  );
}
