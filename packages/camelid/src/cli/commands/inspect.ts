import { basename, resolve } from "node:path";
import { Command, Option } from "commander";
import type { Conversation } from "../../data/conversation.js";
import { type InspectedRow, inspectRow } from "../../data/inspect.js";
import { holdsPairs, renderPairSides } from "../../data/pair-sides.js";
import { readConversations } from "../../data/read-conversations.js";
import { readPreferences } from "../../data/read-preferences.js";
import { type RenderedRow, renderConversations } from "../../data/render.js";
import { countBySource } from "../../data/render-counters.js";
import type { TokenVariant } from "../../data/tokenize-segments.js";
import { readTrainRows } from "../../data/train-rows.js";
import { DataError, SettingsError } from "../../errors.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { checkOutputFile } from "../../run/output-file.js";
import { outputMode } from "../../run/progress.js";
import { knobs } from "../../settings/knobs.js";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/tokenizer.js";
import { fetchWithProgress } from "../fetch-models.js";
import { renderFindings } from "../inspect/findings.js";
import { inspectPage } from "../inspect/inspect-page.js";
import { stepView } from "../inspect/step-view.js";
import { findingLine, terminalLegend, terminalView } from "../inspect/terminal-view.js";

interface InspectOptions {
  data: string;
  model: string;
  out: string;
  rows: number;
  from: number;
  source?: string;
  maxSeqLen?: number;
  tokenVariant: TokenVariant;
  specialTokensInContent: "text" | "parse";
  onBad: "error" | "skip";
  step?: number;
  microBatchSize: number;
  gradAccumSteps: number;
  seed: number;
  packing: boolean;
  full?: boolean;
  json?: boolean;
}

export function command(): Command {
  return new Command("inspect")
    .description(
      "Shows rows, or both sides of preference pairs, as the trainer gets them: every token, who wrote it, and whether it carries loss.",
    )
    .requiredOption("--data <file>", "JSONL of conversations or of pairs, JSON array, or either as .gz")
    .requiredOption(
      "--model <name>",
      "model folder, or org/name on a hub; its tokenizer and chat template are read",
    )
    .option("--out <file>", "HTML file to write", "inspect.html")
    .option("--rows <n>", "rows in the HTML file; the terminal shows the first 3", positiveInteger, 20)
    .option("--from <n>", "first row, counted from 1", positiveInteger, 1)
    .option("--source <name>", "only rows of this source")
    .option("--max-seq-len <n>", "cut rows to this many tokens, as training would", positiveInteger)
    .addOption(
      new Option("--token-variant <variant>", "tokens around EOS").choices(["A", "B", "C"]).default("B"),
    )
    .addOption(
      new Option("--special-tokens-in-content <how>", "read </s> typed in a content as text or as the token")
        .choices(["text", "parse"])
        .default("text"),
    )
    .addOption(
      new Option("--on-bad <how>", "rows that cannot be used").choices(["error", "skip"]).default("error"),
    )
    .option("--step <n>", "show which rows this optimizer step packs together, instead", positiveInteger)
    .option("--micro-batch-size <n>", "with --step, as in training", positiveInteger, 1)
    .option("--grad-accum-steps <n>", "with --step, as in training", positiveInteger, 1)
    .option("--seed <n>", "with --step, as in training", Number, 42)
    .option("--no-packing", "with --step, as `packing: false` in training")
    .option("--full", "show all chosen rows in the terminal, with all their tokens")
    .option("--json", "print the chosen rows as JSON lines instead")
    .action(async (options: InspectOptions) => inspect(options));
}

async function inspect(options: InspectOptions): Promise<void> {
  if (!options.json && options.step === undefined) checkOutputFile(options.out, [options.data]);
  const model = await fetchWithProgress(options.model, { mode: outputMode(options.json ?? false) });
  const tokenizer = await loadTokenizer(model);
  if (options.step !== undefined) {
    process.stdout.write(await showStep(options, options.step, tokenizer));
    return;
  }
  const { conversations, rendered, trained, sidesEach, skipped } = await load(options, tokenizer);
  const chosen = chooseRows(conversations, options, sidesEach);
  const numberOf = (index: number): number => Math.floor(index / sidesEach) + 1;
  const rows = chosen.map((index) => inspectRow(trained[index]!, numberOf(index), tokenizer));
  if (options.json === true) {
    process.stdout.write(chosen.map((index, at) => jsonLine(trained[index]!, rows[at]!)).join(""));
    return;
  }
  // Checks decode every token; a few hundred rows from all over the file say as much as all.
  const sample = spread(conversations.length, CHECKED_ROWS);
  const findings = await renderFindings(
    sample.map((index) => conversations[index]!),
    sample.map((index) => rendered[index]!),
    tokenizer,
    options,
  );
  const sources = countBySource(trained);
  const colour = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
  const shown = options.full === true ? rows : rows.slice(0, TERMINAL_ROWS * sidesEach);
  const maxLines = options.full === true ? Number.POSITIVE_INFINITY : TERMINAL_LINES;
  const page = inspectPage({ data: basename(options.data), model: options.model, sources, findings, rows });
  writeFileAtomic(options.out, page);
  process.stdout.write(
    [
      terminalLegend(colour),
      ...shown.map((row) => terminalView(row, { colour, maxLines })),
      `checks, on ${sample.length} of ${conversations.length} ${sidesEach === 2 ? "sides" : "rows"}:`,
      ...findings.map(findingLine),
      ...skipped.slice(0, 5).map((error) => `left out: ${error.where ?? ""} ${error.message}`),
      ...(skipped.length > 0 ? [`${skipped.length} rows left out.`] : []),
      `${rows.length / sidesEach} ${sidesEach === 2 ? "pairs" : "rows"} as a page: ${resolve(options.out)}`,
      "",
    ].join("\n"),
  );
}

async function showStep(options: InspectOptions, step: number, tokenizer: Tokenizer): Promise<string> {
  if (await holdsPairs(options.data)) {
    throw new SettingsError("ERR_USAGE", "--step shows the micro-batches of conversations, not of pairs.", {
      where: options.data,
      fix: "leave --step out to see the pairs themselves.",
    });
  }
  const maxSeqLen = options.maxSeqLen ?? knobs.maxSeqLen.parse(undefined);
  const { rows } = await readTrainRows(options.data, tokenizer, { ...options, maxSeqLen });
  return stepView(rows, { ...options, step, maxSeqLen });
}

interface Loaded {
  /** Conversations, or the sides of pairs, chosen before rejected. */
  conversations: readonly Conversation[];
  /** As the template renders them. */
  rendered: readonly RenderedRow[];
  /** As the trainer gets them: of a pair, only the last answer carries loss. */
  trained: readonly RenderedRow[];
  /** 2 for pairs. */
  sidesEach: 1 | 2;
  skipped: readonly DataError[];
}

async function load(options: InspectOptions, tokenizer: Tokenizer): Promise<Loaded> {
  if (await holdsPairs(options.data)) {
    const { rows, skipped } = await readPreferences(options.data, options);
    const sides = await renderPairSides(rows, tokenizer, options);
    const conversations = rows.flatMap(({ dataset, id, chosen, rejected }) => [
      { dataset, id, messages: [...chosen] },
      { dataset, id, messages: [...rejected] },
    ]);
    return {
      ...{ conversations, skipped, sidesEach: 2 },
      rendered: sides.flatMap((pair) => pair.rendered),
      trained: sides.flatMap((pair) => [pair.chosen, pair.rejected]),
    };
  }
  const { rows, skipped } = await readConversations(options.data, options);
  const rendered = await renderConversations(rows, tokenizer, options);
  return { conversations: rows, rendered, trained: rendered, sidesEach: 1, skipped };
}

const TERMINAL_ROWS = 3;
const TERMINAL_LINES = 24;
const CHECKED_ROWS = 300;

/** Indices of the rows to show; of pairs, of both sides. */
function chooseRows(
  rows: readonly Conversation[],
  { from, rows: count, source }: InspectOptions,
  sidesEach: 1 | 2,
): number[] {
  const all = rows.flatMap(({ dataset }, index) =>
    (source === undefined || dataset === source) && index % sidesEach === 0 ? [index] : [],
  );
  const chosen = all
    .filter((index) => index / sidesEach + 1 >= from)
    .slice(0, count)
    .flatMap((index) => (sidesEach === 2 ? [index, index + 1] : [index]));
  if (chosen.length > 0) return chosen;
  const names = [...new Set(rows.map(({ dataset }) => dataset))].slice(0, 12);
  throw new DataError("ERR_NO_ROWS", "no row is left to show.", {
    where: `--from ${from}${source === undefined ? "" : ` --source ${source}`}`,
    fix: `the file has ${rows.length / sidesEach} rows of: ${names.join(", ")}.`,
  });
}

/** At most `count` indices below `length`, evenly spaced. */
function spread(length: number, count: number): number[] {
  if (length <= count) return Array.from({ length }, (_, index) => index);
  return Array.from({ length: count }, (_, index) => Math.floor((index * length) / count));
}

function jsonLine(row: RenderedRow, { number, tokens }: InspectedRow): string {
  const { id, dataset, inputIds, labels } = row;
  const line = { row: number, id, dataset, input_ids: [...inputIds], labels: [...labels] };
  return `${JSON.stringify({ ...line, roles: tokens.map(({ role }) => role), texts: tokens.map(({ text }) => text) })}\n`;
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new SettingsError("ERR_USAGE", `"${text}" is not a number of rows or tokens.`, {
    fix: "give 1 or more.",
  });
}
