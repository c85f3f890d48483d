/** report.html of an experiment: the paper's table with rows of one's own, differences, how the runs went. */
import { relative } from "node:path";
import { fold, note, table } from "../report/blocks.js";
import { type Html, type HtmlValue, html } from "../report/html.js";
import { page, section } from "../report/page.js";
import type { RunRecord } from "../run/read-run.js";
import type { Column, Experiment } from "./experiment.js";
import { chartsSection, trainingSection } from "./report-charts.js";
import type { Difference, DifferenceCell, Results } from "./results.js";
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
      chartsSection(experiment.columns, facts.results.rows),
      trainingSection(facts.runs),
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

function differencesSection({ experiment, results }: ReportFacts): HtmlValue {
  if (results.differences.length === 0) return undefined;
  return section({
    heading: "Differences",
    note: "Second less first over the same items, with the 95 % interval of a paired bootstrap and about the probability of such a difference by chance. Bold: the interval leaves zero out. In grey, what the paper prints.",
    body: results.differences.map((one) => [
      html`<h3>${one.second} <small>less ${one.first}</small></h3>`,
      differenceTable(one, experiment),
    ]),
  });
}

function differenceTable({ cells, average }: Difference, { columns, published }: Experiment): Html {
  const printed = published.differences ?? [];
  const greys = (pick: (line: (typeof printed)[number]) => string) =>
    printed.map((line) => html`<small>${pick(line)}</small>`);
  return table(
    [
      { name: "" },
      { name: "difference", kind: "number" },
      { name: "95 %", kind: "number" },
      { name: "p", kind: "number" },
      { name: "items", kind: "number", hint: "with a verdict in both" },
      ...printed.map(({ name }) => ({ name, kind: "number" as const, hint: "published" })),
    ],
    [
      ...columns.map((column, i) => {
        const cell = cells[i];
        const grey = greys(({ values }) => plainDifference(values[column.name], column));
        if (cell === undefined) return [column.name, "–", "", "", "", ...grey];
        const p = cell.p < 0.002 ? "< 0.002" : cell.p.toFixed(3);
        return [column.name, ...valueAndRange(cell, column), p, cell.items, ...grey];
      }),
      ...(average === undefined
        ? []
        : [
            ["average", ...valueAndRange(average), "", "", ...greys((line) => plainDifference(line.average))],
          ]),
    ],
  );
}

function valueAndRange(
  { difference, interval, clear }: Pick<DifferenceCell, "difference" | "interval" | "clear">,
  column?: Column,
): [HtmlValue, string] {
  const text = (value: number): string => typographic(signed(value, column?.digits));
  const value = text(difference);
  return [clear ? html`<b>${value}</b>` : value, interval.map(text).join(" to ")];
}

const plainDifference = (value: number | undefined, column?: Column): string =>
  value === undefined ? "–" : typographic(signed(value, column?.digits));

const typographic = (text: string) => text.replace("-", "−");

function remarksSection({ results: { notes }, experiment: { published } }: ReportFacts): HtmlValue {
  const printed = published.lines.flatMap(({ name, remark }) =>
    remark === undefined ? [] : [`${name}: ${remark}.`],
  );
  if (notes.length + printed.length === 0) return undefined;
  return section({
    heading: "Remarks",
    body: [
      notes.length > 0 &&
        fold(
          "What the tasks remark",
          notes.map((text) => note(text)),
        ),
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
