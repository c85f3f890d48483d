/** What the Studio shows, for people who would rather read and for programs: the same readers, as text or JSON. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { SettingsError } from "../../errors.js";
import { readMetrics, readPredictions } from "../../eval/results-folder.js";
import { StudioContext } from "../../studio/context.js";
import { flips } from "../../studio/evals/flips.js";
import { askSql } from "../../studio/mixes/ask-sql.js";
import { RowTable } from "../../studio/mixes/row-table.js";
import { pairings } from "../../studio/preferences/pairings.js";
import { studioFolder, VoteFile } from "../../studio/preferences/vote-file.js";
import { Roots } from "../../studio/roots.js";
import { runDetail } from "../../studio/runs/detail.js";
import { stepDetail } from "../../studio/runs/step.js";
import { textTable } from "../show/text-table.js";

interface Json {
  json?: boolean;
}

export function command(): Command {
  const show = new Command("show").description("What the Studio shows, as text or JSON.");
  const json = ["--json", "one JSON value instead of text"] as const;
  show
    .command("runs")
    .description("every run below some folders, and what it is")
    .argument("[folders...]", "default: the current one")
    .option(...json)
    .action(showRuns);
  show
    .command("run")
    .description("one run: figures, settings, notes; or the rows of one of its steps")
    .argument("<run>", "run folder")
    .option("--step <n>", "the numbers of this step and the rows it trained on", Number)
    .option(...json)
    .action(showRun);
  show
    .command("rows")
    .description("SQL over the rows of a file (tables: rows, and lineage of a mixture), read-only")
    .argument("<data>", "mixture folder or JSONL file")
    .argument("<sql>", 'such as "SELECT dataset, count(*) FROM rows GROUP BY ALL"')
    .option(...json)
    .action(showRows);
  show
    .command("votes")
    .description("win rates of what was voted in the arena")
    .argument("[folder]", "the folder that the Studio was opened on", ".")
    .option(...json)
    .action(showVotes);
  show
    .command("flips")
    .description("items that two evaluations answer differently")
    .argument("<a>", "output folder of `camelid eval`")
    .argument("<b>", "another")
    .option("--task <name>", "default: every task of both")
    .option(...json)
    .action(showFlips);
  return show;
}

function showRuns(folders: string[], { json }: Json): void {
  const { runs } = new StudioContext(new Roots(folders.length === 0 ? ["."] : folders)).catalog();
  const rows = runs.map(({ id, recipe, status, step, totalSteps, loss }) => [
    ...[id, recipe, status, totalSteps === null ? `${step}` : `${step}/${totalSteps}`, numberText(loss)],
  ]);
  print(json, runs, () => textTable(["run", "recipe", "status", "step", "loss"], rows));
}

async function showRun(folder: string, { step, json }: Json & { step?: number }): Promise<void> {
  const path = resolve(folder);
  if (!existsSync(path)) throw noSuch(path);
  // The rows are read wherever the run says they are: who types this may read them anyway.
  const studio = new StudioContext(new Roots([path, "/"]));
  const log = studio.log(path, Number.POSITIVE_INFINITY);
  if (step !== undefined) {
    const detail = await stepDetail(studio, path, log, step);
    print(json, detail, () =>
      [
        ...detail.numbers.map(({ name, value }) => `${name}  ${numberText(value)}`),
        ...detail.notes,
        textTable(
          ["row", "source", "trained", "tokens", "begins"],
          detail.rows.map((row) => [
            ...[
              `${row.place + 1}`,
              row.dataset,
              `${row.trainedTokens ?? ""}`,
              `${row.tokens ?? ""}`,
              row.preview.slice(0, 80),
            ],
          ]),
        ),
      ].join("\n"),
    );
    return;
  }
  const detail = runDetail(path, folder, log);
  const { summary, settings, notes } = detail;
  print(json, detail, () =>
    [
      `${summary.recipe} ${summary.status}, step ${summary.step}${summary.totalSteps === null ? "" : ` of ${summary.totalSteps}`}, loss ${numberText(summary.loss)}`,
      ...notes,
      textTable(
        ["setting", "value", "from"],
        settings.map(({ key, value, origin }) => [key, value, origin]),
      ),
    ].join("\n"),
  );
}

async function showRows(data: string, sql: string, { json }: Json): Promise<void> {
  const mix = join(data, "train.jsonl");
  const file = resolve(existsSync(mix) ? mix : data);
  if (!existsSync(file)) throw noSuch(file);
  const lineage = join(data, "lineage.parquet");
  const table = new RowTable(file, existsSync(lineage) ? resolve(lineage) : undefined);
  const answer = await askSql(table, sql);
  table.close();
  const names = answer.columns.map(({ name }) => name);
  const objects = answer.rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
  print(
    json,
    objects,
    () =>
      textTable(
        names,
        answer.rows.map((row) => row.map((cell) => String(cell).replace(/\s+/g, " ").slice(0, 80))),
      ) + (answer.more ? "\nthere are more rows; say LIMIT and OFFSET" : ""),
  );
}

function showVotes(folder: string, { json }: Json): void {
  const found = pairings(new VoteFile(studioFolder(resolve(folder))).read().votes);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const rows = found.map(({ a, b, wins, losses, ties, bothBad, rate, interval }) => [
    ...[
      a,
      b,
      rate === null ? "" : percent(rate),
      interval === null ? "" : interval.map(percent).join(" to "),
    ],
    ...[`${wins}`, `${losses}`, `${ties}`, `${bothBad}`],
  ]);
  print(json, found, () =>
    textTable(["model", "against", "won", "95 %", "wins", "losses", "ties", "both bad"], rows),
  );
}

function showFlips(a: string, b: string, { task, json }: Json & { task?: string }): void {
  const [first, second] = [readMetrics(a), readMetrics(b)];
  const shared = Object.keys(first.tasks).filter(
    (key) => Object.hasOwn(second.tasks, key) && (task === undefined || key === task),
  );
  const found = shared.map((key) =>
    flips(key, readPredictions(a, first.tasks[key]!), readPredictions(b, second.tasks[key]!)),
  );
  const rows = found.map(({ task: name, both, gained, lost, difference, interval, p }) => [
    ...[
      name,
      `${both}`,
      `${gained}`,
      `${lost}`,
      difference.toFixed(1),
      interval.map((end) => end.toFixed(1)).join(" to "),
      p.toFixed(3),
    ],
  ]);
  print(json, found, () => textTable(["task", "items", "gained", "lost", "points", "95 %", "p"], rows));
}

function print(json: boolean | undefined, value: unknown, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text()}\n`);
}

function numberText(value: number | string | null): string {
  return typeof value === "number" ? String(Number(value.toPrecision(5))) : (value ?? "");
}

function noSuch(path: string): SettingsError {
  return new SettingsError("ERR_FILE_MISSING", "there is no such file or folder.", {
    where: path,
    fix: "check the path.",
  });
}
