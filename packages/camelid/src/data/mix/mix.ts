/**
 * The mixer: sources in order, each drawn, converted, looked at and written, every row accounted for.
 *
 *     files -> row list -> draw -> jobs -> [threads: parse, convert, filter, hash, count] -> verdicts -> files
 *
 * Threads do what looks at one row; this thread does what looks across rows, in one fixed order, so the result does
 * not depend on how many threads there are.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DataError, SettingsError } from "../../errors.js";
import { checkOutputFolder } from "../../run/run-directory.js";
import type { Mixture, MixtureSource } from "../mixture.js";
import { PythonRandom } from "../python-random.js";
import { sourceNamed } from "../sources/registry.js";
import { type DrawnRows, drawRows, type RandomStreams, randomStreams } from "./draw-rows.js";
import type { RowJobResult } from "./job.js";
import { addCounts, assertBalanced, newCounts, type SourceCounts } from "./ledger.js";
import { type Manifest, type SourceManifest, sourceManifest, writeManifest } from "./manifest.js";
import { planJobs } from "./plan-jobs.js";
import { type JobPool, openPool } from "./pool.js";
import { type OpenSource, RecordSink } from "./record-sink.js";
import { listRows, type RowList } from "./row-list.js";
import { SourceNotes } from "./source-notes.js";

export interface MixOptions {
  readonly out: string;
  readonly tokenizer?: string;
  readonly onBad: "stop" | "skip";
  /** Take all rows of a part that has fewer than its draw. */
  readonly allowFewer: boolean;
  readonly threads: number;
  readonly missing?: Manifest["missing"];
  readonly onProgress?: (progress: MixProgress) => void;
}

export interface MixProgress {
  readonly source: string;
  readonly rows: number;
  readonly ofRows: number;
}

/** Builds the mixture into `options.out`; the folder gets its files only when all of them are complete. */
export async function mix(mixture: Mixture, options: MixOptions): Promise<Manifest> {
  const started = Date.now();
  checkOutputFolder(options.out);
  checkTokenizer(mixture, options);
  const work = join(options.out, `.mix.${randomBytes(6).toString("hex")}.tmp`);
  mkdirSync(work, { recursive: true });
  const pool = await openPool(options.threads, {
    json: mixture.json,
    ...(mixture.filter && { filter: mixture.filter }),
    ...(mixture.dedup && { dedup: mixture.dedup }),
    ...(mixture.heldOut && { heldOut: mixture.heldOut }),
    ...(options.tokenizer !== undefined && { tokenizerFolder: options.tokenizer }),
    countTokens: options.tokenizer !== undefined,
  });
  try {
    const sink = new RecordSink(work, mixture);
    const stream = randomStreams(new PythonRandom(mixture.seed));
    const sources: SourceManifest[] = [];
    for (const [i, source] of mixture.sources.entries()) {
      const random =
        mixture.randomness === "python-stream"
          ? stream
          : randomStreams(sourceRandom(mixture.seed, source.name));
      sources.push(await mixSource(source, random, sink, pool, join(work, `scratch-${i}`), options));
    }
    const files = sink.close();
    const limits = { threads: Math.max(1, options.threads), spillFolder: join(work, "spill") };
    await sink.lineage.finish(join(work, "lineage.parquet"), limits);
    const manifest: Manifest = {
      format: 1,
      mixture: mixture.name,
      seed: mixture.seed,
      settings: settingsOf(mixture),
      sources,
      totals: addCounts(sources),
      files,
      missing: options.missing ?? [],
      made: {
        at: new Date(started).toISOString(),
        seconds: (Date.now() - started) / 1000,
        threads: options.threads,
      },
    };
    writeManifest(join(work, "manifest.json"), manifest);
    for (const name of [...Object.keys(files), "lineage.parquet", "manifest.json"]) {
      renameSync(join(work, name), join(options.out, name));
    }
    return manifest;
  } finally {
    await pool.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** Found out before a gigabyte is read, not after. */
function checkTokenizer(mixture: Mixture, { tokenizer }: MixOptions): void {
  if (tokenizer !== undefined) return;
  const needy = mixture.sources.filter(
    ({ format, quota }) => sourceNamed(format).textsToCount !== undefined || quota?.by === "trained-tokens",
  );
  if (needy.length === 0) return;
  const names = needy.map(({ name }) => name).join(", ");
  throw new SettingsError(
    "ERR_MIX_TOKENIZER",
    `splitting or counting by tokens needs a tokenizer (${names}).`,
    {
      fix: "add --tokenizer DIR: the folder of the model to be trained, or any folder with its tokenizer.json.",
    },
  );
}

/** A stream for each source, independent of its neighbours: the seed and the name decide. */
function sourceRandom(seed: number, name: string): PythonRandom {
  let hash = seed >>> 0;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0;
  return new PythonRandom(hash);
}

function settingsOf({ sources: _, ...settings }: Mixture): Manifest["settings"] {
  return settings;
}

interface DrawnPart {
  readonly list: RowList;
  readonly drawn: DrawnRows;
  readonly label: string;
}

async function mixSource(
  source: MixtureSource,
  random: RandomStreams,
  sink: RecordSink,
  pool: JobPool,
  scratch: string,
  options: MixOptions,
): Promise<SourceManifest> {
  mkdirSync(scratch, { recursive: true });
  const rule = sourceNamed(source.format);
  const counts = newCounts();
  const notes = new SourceNotes();
  const open: OpenSource = {
    name: source.name,
    exempt: source.exempt ?? false,
    counts,
    notes,
    isFull: () => false,
  };

  // Every draw of the source comes before its prompt templates: the order in which the original uses its stream.
  const parts = await drawParts(source, random, counts, scratch, options);
  for (const part of parts) listNotSampled(part, open, sink);

  const ofRows = parts.reduce((rows, { drawn }) => rows + drawn.count, 0);
  const repeat = source.repeat ?? 1;
  for (let pass = 1; pass <= repeat; pass++) {
    let position = 0;
    for (const { list, drawn } of parts) {
      const base = position;
      const jobs = planJobs(
        list,
        drawn.order,
        {
          format: source.format,
          dataset: source.name,
          options: source.options ?? {},
          exempt: source.exempt ?? false,
          ...(rule.drawsPerRow && { templateDraws: random.main }),
        },
        (drawnSoFar) => (rule.runningIds ? counts.converted : base + drawnSoFar),
      );
      for await (const { job, result } of pool.run(jobs, { oneAtATime: rule.runningIds ?? false })) {
        if (options.onBad === "stop") stopAtBadRow(result);
        sink.take(open, job, result, pass === 1 ? {} : { copy: `copy ${pass} of ${repeat}` });
        options.onProgress?.({ source: source.name, rows: counts.used, ofRows });
      }
      position += drawn.count;
    }
  }
  assertBalanced(source.name, counts);
  rmSync(scratch, { recursive: true, force: true });
  return sourceManifest(
    {
      name: source.name,
      format: source.format,
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
      notes: [...(source.notes ?? []), ...parts.flatMap(fewerThanAsked(source))],
    },
    counts,
    notes,
  );
}

async function drawParts(
  source: MixtureSource,
  random: RandomStreams,
  counts: SourceCounts,
  scratch: string,
  { onBad, allowFewer }: MixOptions,
): Promise<DrawnPart[]> {
  const parts: DrawnPart[] = [];
  for (const { files, draw } of source.parts) {
    const list = await listRows(files, scratch, onBad, { csvHeader: source.format !== "cot_table" });
    const drawn = drawRows(draw, list.count, random, allowFewer, `${source.name}: ${files.join(", ")}`);
    counts.read += list.count;
    const label =
      draw.kind === "all" ? `all ${list.count} rows` : `${draw.kind}: ${drawn.count} of ${list.count} rows`;
    parts.push({ list, drawn, label });
  }
  return parts;
}

function fewerThanAsked(source: MixtureSource) {
  return ({ list }: DrawnPart, i: number): string[] => {
    const { draw } = source.parts[i]!;
    if (!("rows" in draw) || list.count >= draw.rows) return [];
    return [`${list.count} rows are there, ${draw.rows} were asked for: all were taken`];
  };
}

/** Rows outside the draw go into the lineage as ranges: a sample of 10,000 from millions stays small. */
function listNotSampled({ list, drawn: { order } }: DrawnPart, open: OpenSource, sink: RecordSink): void {
  if (order === undefined) return;
  const taken = new Uint8Array(list.count);
  for (const row of order) taken[row] = 1;
  for (const { file, firstRow, index } of list.files) {
    for (let row = 0; row < index.count; ) {
      if (taken[firstRow + row] === 1) {
        row++;
        continue;
      }
      let end = row + 1;
      while (end < index.count && taken[firstRow + end] === 0) end++;
      sink.notSampled(open, file, row, end);
      row = end;
    }
  }
}

function stopAtBadRow({ bad }: RowJobResult): void {
  const first = bad[0];
  if (first === undefined) return;
  throw new DataError(first.code, first.message, {
    where: first.where,
    ...(first.fix !== undefined && { fix: first.fix }),
  });
}
