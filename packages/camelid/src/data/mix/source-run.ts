/** One source of a mixture, from its files to the sink. */
import { mkdirSync } from "node:fs";
import { DataError, SettingsError } from "../../errors.js";
import type { MixtureSource } from "../mixture.js";
import { messages } from "../sources/messages.js";
import { sourceNamed } from "../sources/registry.js";
import type { Source, SourceOptions } from "../sources/source.js";
import { detectFormat } from "../sources/user-formats.js";
import { type DrawnRows, drawRows, type RandomStreams } from "./draw-rows.js";
import { firstRow } from "./first-row.js";
import type { RowJobResult } from "./job.js";
import type { SourceHead } from "./manifest.js";
import type { MixOptions } from "./mix.js";
import { type JobSettings, planJobs } from "./plan-jobs.js";
import type { JobPool } from "./pool.js";
import type { ResolvedQuota } from "./quotas.js";
import type { RecordSink } from "./record-sink.js";
import { listRows, type RowList } from "./row-list.js";
import { SourceState } from "./source-state.js";

export interface SourceTask {
  readonly index: number;
  readonly source: MixtureSource;
  readonly quota: ResolvedQuota;
  readonly random: RandomStreams;
  /** Folder for unpacked copies; it must live as long as rows may be read again. */
  readonly scratch: string;
}

export interface SourceRun {
  readonly task: SourceTask;
  readonly state: SourceState;
  readonly parts: readonly DrawnPart[];
  readonly settings: JobSettings;
  head(): SourceHead;
}

interface DrawnPart {
  readonly list: RowList;
  readonly drawn: DrawnRows;
  readonly label: string;
}

export async function mixSource(
  task: SourceTask,
  sink: RecordSink,
  pool: JobPool,
  options: MixOptions,
): Promise<SourceRun> {
  const { source, quota } = task;
  mkdirSync(task.scratch, { recursive: true });
  const state = new SourceState(task.index, source.name, source.exempt ?? false, quota);
  // Every draw of the source comes before its prompt templates: the order in which the original uses its stream.
  const parts = await drawParts(task, state, options);
  const { rule, settings } = ruleFor(task, parts, options.tokenizer !== undefined);
  for (const part of parts) listNotSampled(part, state, sink);

  const ofRows = parts.reduce((rows, { drawn }) => rows + drawn.count, 0);
  const repeat = source.repeat ?? 1;
  for (let pass = 1; pass <= repeat; pass++) {
    let position = 0;
    for (const { list, drawn } of parts) {
      const base = position;
      const jobs = planJobs(list, drawn.order, settings, (before) =>
        rule.runningIds ? state.counts.converted : base + before,
      );
      let taken = 0;
      for await (const { job, result } of pool.run(jobs, { oneAtATime: rule.runningIds ?? false })) {
        options.signal?.throwIfAborted();
        if (options.onBad === "stop") stopAtBadRow(result);
        sink.take(state, job, result, {
          ...(pass > 1 && { copy: `copy ${pass} of ${repeat}` }),
          ...(quota.upsample && { listRow: (file: string) => firstRowOf(list, file) }),
        });
        taken += job.rows.length;
        options.onProgress?.({ source: source.name, rows: base + taken, ofRows });
        if (state.isFull() && !sink.holdsBack) break;
      }
      if (taken < drawn.count && pass === 1) listNotReached({ list, drawn }, taken, state, sink);
      position += drawn.count;
    }
  }
  return { task, state, parts, settings, head: () => headOf(task, rule, parts, state) };
}

/** Fills a quota that has too few rows by writing kept rows again, in a new random order each time. */
export async function upsample(
  { task, state, parts, settings }: SourceRun,
  sink: RecordSink,
  pool: JobPool,
  options: MixOptions,
): Promise<void> {
  const { quota, random, source } = task;
  if (state.isFull() || (quota.rows === undefined && quota.trainedTokens === undefined)) return;
  if (!quota.upsample || state.kept.length === 0) {
    if (options.allowFewer) return;
    const asked = quota.rows === undefined ? `${quota.trainedTokens} trained tokens` : `${quota.rows} rows`;
    const got =
      quota.rows === undefined
        ? `${state.counts.trainedTokens} trained tokens`
        : `${state.counts.written} rows`;
    throw new SettingsError(
      "ERR_MIX_TOO_FEW_ROWS",
      `${source.name} gives ${got} after filters, the mixture asks for ${asked}.`,
      {
        fix: "lower the quota, set upsample: true to repeat rows, or take what is there with --allow-missing.",
      },
    );
  }
  const kept = Uint32Array.from(state.kept);
  state.kept.length = 0;
  const { list } = parts[0]!;
  for (let copy = 2; !state.isFull(); copy++) {
    random.main.shuffle(kept);
    const missing = quota.rows === undefined ? kept.length : quota.rows - state.counts.written;
    const jobs = planJobs(list, kept.slice(0, missing), { ...settings, copy: true }, () => 0);
    const before = state.counts.written;
    for await (const { job, result } of pool.run(jobs)) {
      sink.take(state, job, result, { copy: `copy ${copy}` });
      if (state.isFull()) break;
    }
    if (state.counts.written === before) break; // nothing that counts is left: no progress, no endless loop
  }
}

async function drawParts(task: SourceTask, state: SourceState, options: MixOptions): Promise<DrawnPart[]> {
  const { source, random, scratch } = task;
  const parts: DrawnPart[] = [];
  for (const { files, draw } of source.parts) {
    const list = await listRows(files, scratch, options.onBad, { csvHeader: source.format !== "cot_table" });
    const drawn = drawRows(
      draw,
      list.count,
      random,
      options.allowFewer,
      `${source.name}: ${files.join(", ")}`,
    );
    state.counts.read += list.count;
    const some =
      draw.kind === "until-quota"
        ? "in random order until the quota is full"
        : `${drawn.count} of ${list.count} rows`;
    parts.push({
      list,
      drawn,
      label: draw.kind === "all" ? `all ${list.count} rows` : `${draw.kind}: ${some}`,
    });
  }
  return parts;
}

/** The rule for the rows; `auto` is settled by the first row there is. */
function ruleFor(
  { source, random }: SourceTask,
  parts: readonly DrawnPart[],
  countsTokens: boolean,
): { rule: Source; settings: JobSettings } {
  let options: SourceOptions = source.options ?? {};
  let rule: Source;
  if (source.format === "auto") {
    const row = firstRow(parts.map(({ list }) => list));
    // No row parses: there is nothing to tell the format by, and reading will say what is wrong with the first one.
    const detected = row === undefined ? { source: messages } : detectFormat(row, options.columns);
    rule = detected.source;
    if (detected.columns !== undefined) options = { ...options, columns: detected.columns };
  } else rule = sourceNamed(source.format);
  const settings = {
    format: rule.name,
    dataset: source.name,
    options,
    exempt: source.exempt ?? false,
    countsTokens,
    ...(rule.drawsPerRow && { templateDraws: random.main }),
  };
  return { rule, settings };
}

function headOf(
  { source }: SourceTask,
  rule: Source,
  parts: readonly DrawnPart[],
  { counts }: SourceState,
): SourceHead {
  const fewer = parts.flatMap(({ list }, i) => {
    const { draw } = source.parts[i]!;
    if (!("rows" in draw) || list.count >= draw.rows) return [];
    return [`${list.count} rows are there, ${draw.rows} were asked for: all were taken`];
  });
  const asked = source.quota?.by === "rows" ? source.quota.rows : undefined;
  if (asked !== undefined && counts.written < asked)
    fewer.push(`${counts.written} rows remain of ${asked} asked for`);
  return {
    name: source.name,
    format: rule.name,
    rule: rule.rule,
    draws: parts.map(({ label }) => label),
    files: parts
      .flatMap(({ list }) => list.files)
      .map(({ file, index, sizeBytes, sha256, damage }) => ({
        file,
        rows: index.count,
        bytes: sizeBytes,
        sha256,
        ...(index.blankLines > 0 && { blankLines: index.blankLines }),
        ...(damage && { damage: damage.message }),
      })),
    notes: [...(source.notes ?? []), ...fewer],
  };
}

/** Rows outside the draw go into the lineage as ranges: a sample of 10,000 from millions stays small. */
function listNotSampled({ list, drawn: { order } }: DrawnPart, state: SourceState, sink: RecordSink): void {
  if (order !== undefined) listMissing(list, order, state, sink, 1);
}

/** Rows drawn but never read, because the quota was full. */
function listNotReached(
  { list, drawn }: Pick<DrawnPart, "list" | "drawn">,
  taken: number,
  state: SourceState,
  sink: RecordSink,
): void {
  const rest =
    drawn.order?.subarray(taken) ?? Uint32Array.from({ length: drawn.count - taken }, (_, i) => taken + i);
  listMissing(list, rest, state, sink, 0);
}

/** Ranges of rows whose membership in `rows` differs from `wanted`. */
function listMissing(
  list: RowList,
  rows: Uint32Array,
  state: SourceState,
  sink: RecordSink,
  wanted: 0 | 1,
): void {
  const member = new Uint8Array(list.count);
  for (const row of rows) member[row] = 1;
  for (const { file, firstRow: first, index } of list.files) {
    for (let row = 0; row < index.count; ) {
      if (member[first + row] === wanted) {
        row++;
        continue;
      }
      let end = row + 1;
      while (end < index.count && member[first + end] !== wanted) end++;
      sink.notSampled(state, file, row, end);
      row = end;
    }
  }
}

function firstRowOf({ files }: RowList, name: string): number {
  return files.find(({ file }) => file === name)!.firstRow;
}

function stopAtBadRow({ bad }: RowJobResult): void {
  const first = bad[0];
  if (first === undefined) return;
  throw new DataError(first.code, first.message, {
    where: first.where,
    ...(first.fix !== undefined && { fix: first.fix }),
  });
}
