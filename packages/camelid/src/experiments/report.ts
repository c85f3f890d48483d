/** report.html of an experiment: the paper's table with rows of one's own, differences, how the runs went. */
import { relative } from "node:path";
import { barChart } from "../report/bars.js";
import { fold, note, sideBySide, table } from "../report/blocks.js";
import { type Html, type HtmlValue, html } from "../report/html.js";
import { lineChart } from "../report/line-chart.js";
import { page, section } from "../report/page.js";
import { radar } from "../report/radar.js";
import type { RunRecord } from "../run/read-run.js";
import type { Column, Experiment } from "./experiment.js";
import type { Difference, ResultRow, Results } from "./results.js";
import type { Made } from "./run-stages.js";
import { number, signed } from "./table-text.js";

export interface ReportFacts {
  readonly experiment: Experiment;
  readonly results: Results;
  readonly made: readonly Made[];
  /** Trained stages by name. */
  readonly runs: ReadonlyMap<string, RunRecord>;
  /** Folder that the page stands in; links and paths are relative to it. */
  readonly folder: string;
  /** What everybody has to know before they look at a number. */
  readonly remark?: string;
}

export function experimentReport(facts: ReportFacts): string {
  const { experiment, remark } = facts;
  return page({
    title: experiment.title,
    kind: "experiment",
    lead: lead(facts),
    body: [
      remark !== undefined && note(html`<b>${remark}</b>`, "warn"),
      tableSection(facts),
      differencesSection(facts),
      chartsSection(facts),
      trainingSection(facts),
      remarksSection(facts),
      stagesSection(facts),
    ],
  });
}

function lead({ experiment, results }: ReportFacts): Html {
  const [first] = results.differences;
  const clear = first?.cells.filter((cell) => cell?.clear).length ?? 0;
  const compared = first?.cells.filter((cell) => cell !== undefined).length ?? 0;
  return html`${experiment.asks} ${
    first !== undefined &&
    html`Here <b>${first.second}</b> differs from <b>${first.first}</b> by more than chance in <b>${clear} of ${compared}</b> columns.`
  }`;
}

function tableSection({ experiment, results }: ReportFacts): Html {
  const { columns, average, published, found } = experiment;
  const numbers = (cells: readonly HtmlValue[], last: HtmlValue) =>
    average === undefined ? cells : [...cells, last];
  return section({
    heading: "Table",
    note: html`First the rows of this experiment, each number over its 95 % interval. Then, in grey, ${published.table} as published (arXiv 2311.10702v2): other models, other data. The paper: ${found}`,
    body: table(
      [
        { name: "model" },
        ...columns.map(headOf),
        ...(average === undefined
          ? []
          : [
              {
                name: "average",
                kind: "number" as const,
                hint: `of the paper's ${average} columns, ToxiGen as 100 - x`,
              },
            ]),
      ],
      [
        ...results.rows.map(({ name, cells, average: mean }) => [
          html`<b>${name}</b>`,
          ...numbers(
            cells.map((cell, i) => withInterval(cell?.value, cell?.interval, columns[i])),
            withInterval(mean?.value, mean?.interval),
          ),
        ]),
        ...published.lines.map(({ name, values, average: printed, remark }) => ({
          quiet: true,
          cells: [
            html`${name} <small title="${remark ?? ""}">published${remark !== undefined && " *"}</small>`,
            ...numbers(
              columns.map((column) => dash(number(values[column.name], column))),
              dash(number(printed)),
            ),
          ],
        })),
      ],
    ),
  });
}

const headOf = ({ name, task, of, lowerIsBetter }: Column) => ({
  name,
  kind: "number" as const,
  hint: `${task}${of === undefined ? "" : `: ${"group" in of ? of.group : of.value}`}${lowerIsBetter ? ", lower is better" : ""}`,
});

const dash = (text: string) => (text === "-" ? "–" : text);

function withInterval(
  value: number | undefined,
  interval: readonly [number, number] | undefined,
  column?: Column,
): HtmlValue {
  if (value === undefined || interval === undefined) return "–";
  const [low, high] = interval.map((end) => number(end, column));
  return html`<b>${number(value, column)}</b><br><small>${low}–${high}</small>`;
}

function differencesSection({ experiment: { columns, published }, results }: ReportFacts): HtmlValue {
  if (results.differences.length === 0) return undefined;
  const withAverage = results.differences.some(({ average }) => average !== undefined);
  return section({
    heading: "Differences",
    note: "Second less first over the same items, with the 95 % interval of a paired bootstrap. Bold: the interval leaves zero out, so chance is an unlikely explanation.",
    body: table(
      [
        { name: "second less first" },
        ...columns.map(headOf),
        ...(withAverage ? [{ name: "average", kind: "number" as const }] : []),
      ],
      [
        ...results.differences.map((one) => [
          html`${one.second} − ${one.first}`,
          ...one.cells.map((cell, i) => differenceCell(cell, columns[i])),
          ...(withAverage ? [differenceCell(one.average)] : []),
        ]),
        ...(published.differences ?? []).map(({ name, values, average }) => ({
          quiet: true,
          cells: [
            html`${name} <small>published</small>`,
            ...columns.map((column) => plainDifference(values[column.name], column)),
            ...(withAverage ? [plainDifference(average)] : []),
          ],
        })),
      ],
    ),
  });
}

function differenceCell(
  cell: Difference["cells"][number] | Difference["average"],
  column?: Column,
): HtmlValue {
  if (cell === undefined) return "–";
  const digits = column?.digits ?? 1;
  const [low, high] = cell.interval.map((end) => typographic(signed(end, digits)));
  const value = typographic(signed(cell.difference, digits));
  return html`${cell.clear ? html`<b>${value}</b>` : value}<br><small>${low} to ${high}</small>`;
}

const plainDifference = (value: number | undefined, column?: Column): string =>
  value === undefined ? "–" : typographic(signed(value, column?.digits));

const typographic = (text: string) => text.replace("-", "−");

function chartsSection({ experiment: { columns }, results: { rows } }: ReportFacts): Html {
  return section({
    heading: "Side by side",
    note: "Whiskers are the intervals of the table.",
    body: [
      radarOf(columns, rows),
      sideBySide(
        columns.flatMap((column, i) => {
          const bars = rows.flatMap(({ name, cells }, row) => {
            const cell = cells[i];
            if (cell === undefined) return [];
            const { value, interval } = cell;
            return [{ name, value, interval, color: (row % 8) + 1, text: number(value, column) }];
          });
          const highest = Math.max(...bars.map(({ interval }) => interval[1]), 0);
          const title = `${column.name}${column.lowerIsBetter ? " (lower is better)" : ""}`;
          const max = column.unit === "%" ? 100 : highest || 1;
          return bars.length === 0 ? [] : [barChart({ title, max, bars })];
        }),
      ),
    ],
  });
}

/** One outline a row, over the columns in percent that every row has; turned round where lower is better. */
function radarOf(columns: readonly Column[], rows: readonly ResultRow[]): HtmlValue {
  const axes = columns.flatMap((column, i) =>
    column.unit === "%" && column.of === undefined && rows.some(({ cells }) => cells[i])
      ? [{ column, i }]
      : [],
  );
  if (axes.length < 3) return undefined;
  return radar({
    title: "All columns",
    axes: axes.map(({ column }) => (column.lowerIsBetter ? `100 − ${column.name}` : column.name)),
    series: rows.map(({ name, cells }, row) => ({
      name,
      color: (row % 8) + 1,
      main: row === rows.length - 1,
      values: axes.map(({ column, i }) => {
        const value = cells[i]?.value;
        return value !== undefined && column.lowerIsBetter ? 100 - value : value;
      }),
    })),
  });
}

function trainingSection({ runs }: ReportFacts): HtmlValue {
  if (runs.size === 0) return undefined;
  return section({
    heading: "Training",
    note: "Nats per trained token; of preferences nats per pair.",
    body: sideBySide(
      [...runs].map(([name, { steps }], i) =>
        lineChart({
          title: name,
          height: 8,
          smooth: true,
          series: [
            {
              name: "loss",
              color: (i % 8) + 1,
              points: steps.map(({ step, loss }) => [step, loss] as const),
            },
          ],
        }),
      ),
    ),
  });
}

function remarksSection({ results: { notes }, experiment: { published } }: ReportFacts): HtmlValue {
  const printed = published.lines.flatMap(({ name, remark }) =>
    remark === undefined ? [] : [`${name}: ${remark}.`],
  );
  if (notes.length + printed.length === 0) return undefined;
  return section({
    heading: "Remarks",
    body: [
      ...notes.map((text) => note(text)),
      printed.length > 0 &&
        fold(
          "Where the publication contradicts itself",
          printed.map((text) => note(text)),
        ),
    ],
  });
}

function stagesSection({ made, folder }: ReportFacts): Html {
  return section({
    heading: "Stages",
    note: "Each has a folder with a report of its own, and is made once: the eight digits are a hash of its settings and of what it was made from.",
    body: table(
      [
        { name: "stage" },
        { name: "does" },
        { name: "report", kind: "key" },
        { name: "seconds", kind: "number" },
        { name: "" },
      ],
      made.map(({ planned, seconds, again }) => {
        const at = relative(folder, planned.folder);
        return [
          planned.name,
          planned.does,
          html`<a href="${`${at}/report.html`}">${at}</a>`,
          seconds.toFixed(1),
          again ? "" : "was there",
        ];
      }),
    ),
  });
}
