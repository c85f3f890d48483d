/** The table as text, for terminals of 80 columns. */
import type { Column, Experiment } from "./experiment.js";
import type { Difference, Results } from "./results.js";

const WIDTH = 80;

/** @param remark a sentence to stand above and below everything, such as that these are miniature models */
export function tableText(experiment: Experiment, results: Results, remark?: string): string {
  const { columns, published, title } = experiment;
  const layout = layoutOf(experiment, results);
  const lower = columns.find(({ lowerIsBetter }) => lowerIsBetter);
  const heads = [...columns.map(({ name }) => name), ...(layout.withAverage ? ["avg"] : [])];
  const own = results.rows.flatMap((row) => {
    const values = columns.map((column, i) => number(row.cells[i]?.value, column));
    const halves = columns.map((column, i) => half(row.cells[i]?.interval, column));
    const average = row.average;
    return [
      layout.line(row.name, layout.withAverage ? [...values, number(average?.value)] : values),
      layout.line("", layout.withAverage ? [...halves, half(average?.interval)] : halves),
    ];
  });
  const printed = published.lines.map(({ name, values, average, remark: note }) => {
    const cells = columns.map((column) => number(values[column.name], column));
    return layout.line(
      `${name}${note === undefined ? "" : " *"}`,
      layout.withAverage ? [...cells, number(average)] : cells,
    );
  });
  const differences = (published.differences ?? []).map(({ name, values, average }) => {
    const cells = columns.map((column) => signedOrDash(values[column.name], column));
    return layout.line(name, layout.withAverage ? [...cells, signedOrDash(average)] : cells);
  });
  const remarks = published.lines.flatMap(({ name, remark: note }) =>
    note === undefined ? [] : [`* ${name}: ${note}`],
  );
  return [
    title,
    ...(remark === undefined ? [] : wrapped(remark)),
    "",
    layout.line("", heads),
    layout.rule,
    ...own,
    layout.rule,
    ...wrapped(`As published (${published.table}, arXiv 2311.10702v2), other models and other data:`),
    ...printed,
    layout.rule,
    ...results.differences.flatMap((one) => differenceLines(one, experiment)),
    ...(differences.length === 0 ? [] : ["As published:", ...differences, ""]),
    ...wrapped(
      `The second line of a row is half its 95 % interval.${lower === undefined ? "" : ` Lower is better for ${lower.name}.`}`,
    ),
    ...remarks.flatMap(wrapped),
    "",
  ].join("\n");
}

function layoutOf({ columns, average, published }: Experiment, { rows }: Results) {
  const withAverage = average !== undefined;
  const widths = [
    ...columns.map((column) => Math.max(column.name.length, 4) + 2),
    ...(withAverage ? [6] : []),
  ];
  const longest = Math.max(...[...rows, ...published.lines].map(({ name }) => name.length + 2));
  const room = WIDTH - widths.reduce((sum, width) => sum + width, 0);
  const first = Math.min(longest, room);
  return {
    withAverage,
    rule: "-".repeat(first + WIDTH - room),
    line: (name: string, cells: readonly string[]) =>
      `${name.slice(0, first).padEnd(first)}${cells.map((cell, i) => cell.padStart(widths[i]!)).join("")}`.trimEnd(),
  };
}

function differenceLines({ first, second, cells, average }: Difference, { columns }: Experiment): string[] {
  const entries = columns.flatMap((column, i) => {
    const cell = cells[i];
    return cell === undefined ? [] : [{ name: column.name, digits: column.digits ?? 1, ...cell }];
  });
  const all = average === undefined ? entries : [...entries, { name: "avg", digits: 1, ...average }];
  return [
    `${second} less ${first}, paired over the same items:`,
    ...all.map(({ name, difference, interval: [low, high], digits, clear }) => {
      const range = `[${signed(low, digits)}, ${signed(high, digits)}]`;
      return `  ${name.padEnd(8)}${signed(difference, digits).padStart(8)}  ${range.padEnd(20)}${clear ? "" : "  may be chance"}`.trimEnd();
    }),
    "",
  ];
}

export function number(value: number | undefined, column?: Pick<Column, "digits">): string {
  return value === undefined ? "-" : value.toFixed(column?.digits ?? 1);
}

const signedOrDash = (value: number | undefined, column?: Pick<Column, "digits">): string =>
  value === undefined ? "-" : signed(value, column?.digits);

function half(interval: readonly [number, number] | undefined, column?: Pick<Column, "digits">): string {
  return interval === undefined ? "" : `±${((interval[1] - interval[0]) / 2).toFixed(column?.digits ?? 1)}`;
}

export function signed(value: number, digits = 1): string {
  const text = Math.abs(value).toFixed(digits);
  return `${value < 0 && Number(text) !== 0 ? "-" : "+"}${text}`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
