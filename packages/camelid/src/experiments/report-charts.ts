/** The charts of an experiment's report. */
import { barChart } from "../report/bars.js";
import { sideBySide } from "../report/blocks.js";
import type { Html, HtmlValue } from "../report/html.js";
import { lineChart } from "../report/line-chart.js";
import { section } from "../report/page.js";
import { radar } from "../report/radar.js";
import type { RunRecord } from "../run/read-run.js";
import type { Column } from "./experiment.js";
import type { ResultRow } from "./results.js";
import { number } from "./table-text.js";

/** Every column as bars, all of them as a radar. */
export function chartsSection(columns: readonly Column[], rows: readonly ResultRow[]): Html {
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

/** The loss of every trained stage. @param runs by name */
export function trainingSection(runs: ReadonlyMap<string, RunRecord>): HtmlValue {
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
