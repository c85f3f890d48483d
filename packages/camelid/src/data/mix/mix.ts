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
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import type { Mixture } from "../mixture.js";
import { PythonRandom } from "../python-random.js";
import { sourceNamed } from "../sources/registry.js";
import { randomStreams } from "./draw-rows.js";
import { addCounts, assertBalanced, type SourceCounts } from "./ledger.js";
import {
  type Manifest,
  type ReleasedCount,
  readManifest,
  sourceManifest,
  writeManifest,
} from "./manifest.js";
import { writeParquet } from "./parquet.js";
import { openPool } from "./pool.js";
import { resolveQuotas } from "./quotas.js";
import { RecordSink } from "./record-sink.js";
import { writeMixReport } from "./report.js";
import { mixSource, type SourceRun, upsample } from "./source-run.js";

export interface MixOptions {
  readonly out: string;
  /** Folder of a tokenizer: for splitting by tokens, token quotas and length statistics. */
  readonly tokenizer?: string;
  /** Count the tokens of every row, for lengths in the report (default: when there is a tokenizer). */
  readonly countTokens?: boolean;
  readonly onBad: "stop" | "skip";
  /** Take all rows of a source that has fewer than its quota, and say so, instead of stopping. */
  readonly allowFewer: boolean;
  readonly threads: number;
  /** Also write `train.parquet` (default true). */
  readonly parquet?: boolean;
  readonly missing?: Manifest["missing"];
  /** Counts of the published mixture; the manifest compares. */
  readonly released?: Readonly<Record<string, { sampled: number; written: number }>>;
  /** Folder of another mixture whose lengths the report shows beside this one's. */
  readonly beside?: string;
  /** Stops between two jobs with its reason; nothing is left in `out`. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: MixProgress) => void;
}

export interface MixProgress {
  readonly source: string;
  /** Rows of this source done so far, of those drawn. */
  readonly rows: number;
  readonly ofRows: number;
}

/**
 * Builds the mixture into `options.out`; the folder gets its files only when all of them are complete.
 * @throws {SettingsError | DataError} for settings that cannot be honoured, for a bad row unless `onBad` is `skip`, and when no row is left
 */
export async function mix(mixture: Mixture, options: MixOptions): Promise<Manifest> {
  const started = Date.now();
  checkOutputFolder(options.out);
  checkTokenizer(mixture, options);
  const beside =
    options.beside === undefined ? undefined : readManifest(join(options.beside, "manifest.json"));
  const quotas = resolveQuotas(mixture);
  const tokenizer = options.tokenizer === undefined ? undefined : await loadTokenizer(options.tokenizer);
  const work = join(options.out, `.mix.${randomBytes(6).toString("hex")}.tmp`);
  mkdirSync(work, { recursive: true });
  const { sources: _, name: __, seed: ___, ...settings } = mixture;
  const pool = await openPool(options.threads, {
    ...settings,
    countTokens: needsTokens(mixture) || (options.countTokens ?? true),
    ...(options.tokenizer !== undefined && { tokenizerFolder: options.tokenizer }),
  });
  try {
    const sink = new RecordSink(work, mixture);
    const shared = randomStreams(new PythonRandom(mixture.seed));
    const runs: SourceRun[] = [];
    for (const [i, source] of mixture.sources.entries()) {
      const random =
        mixture.randomness === "python-stream"
          ? shared
          : randomStreams(sourceRandom(mixture.seed, source.name));
      const scratch = join(work, `scratch-${i}`);
      const run = await mixSource(
        { index: i, source, quota: quotas[i]!, random, scratch },
        sink,
        pool,
        options,
      );
      if (!sink.holdsBack) await upsample(run, sink, pool, options);
      runs.push(run);
    }
    const nearDedup = await sink.settle(runs.map((run) => run.state));
    if (sink.holdsBack) for (const run of runs) await upsample(run, sink, pool, options);
    for (const { state } of runs) assertBalanced(state.name, state.counts);
    checkNotEmpty(addCounts(runs.map(({ state }) => state.counts)));

    await pool.close(); // threads give their memory back before the database takes its share
    const files = sink.close();
    const limits = { threads: Math.max(1, options.threads), spillFolder: join(work, "spill") };
    await sink.lineage.finish(join(work, "lineage.parquet"), limits);
    const names = [...Object.keys(files), "lineage.parquet", "manifest.json", "report.html"];
    if (options.parquet !== false) {
      await writeParquet(
        join(work, "train.jsonl"),
        join(work, "train.parquet"),
        files["train.jsonl"]!,
        sink.holdsPairs ?? false,
        limits,
      );
      names.push("train.parquet");
    }
    const sources = runs.map((run) => sourceManifest(run.head(), run.state));
    const manifest: Manifest = {
      format: 1,
      mixture: mixture.name,
      seed: mixture.seed,
      settings: { ...settings, name: mixture.name, seed: mixture.seed },
      ...(tokenizer && { tokenizer: { folder: tokenizer.folder, fingerprint: tokenizer.fingerprint } }),
      sources,
      totals: addCounts(sources),
      files,
      ...(nearDedup && { nearDedup }),
      missing: options.missing ?? [],
      ...(options.released && { released: compareReleased(options.released, sources) }),
      made: {
        at: new Date(started).toISOString(),
        seconds: (Date.now() - started) / 1000,
        threads: options.threads,
      },
    };
    writeManifest(join(work, "manifest.json"), manifest);
    await writeMixReport(
      join(work, "report.html"),
      manifest,
      runs.map((run) => run.state),
      tokenizer,
      beside,
    );
    for (const name of names) renameSync(join(work, name), join(options.out, name));
    return manifest;
  } finally {
    await pool.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** What becomes of rows and records that are not written. */
const FATES = [
  ...(["bad", "notSampled", "rejected", "filtered", "deduplicated"] as const),
  ...(["nearDuplicates", "contaminated", "overQuota", "heldOut"] as const),
];

/** @throws {DataError} `ERR_NO_ROWS`: a mixture of nothing is nobody's wish */
function checkNotEmpty(totals: SourceCounts): void {
  if (totals.written > 0) return;
  const lost = FATES.filter((fate) => totals[fate] > 0).map((fate) => `${totals[fate]} ${inWords(fate)}`);
  throw new DataError("ERR_NO_ROWS", "the mixture would have no rows.", {
    where: `rows read: ${totals.read}${lost.length === 0 ? "" : `; of them and their records ${lost.join(", ")}`}`,
    fix:
      totals.read === 0
        ? "the files of the sources are empty: name others."
        : "look at the quotas, filters and held-out share of the mixture, or leave --on-bad skip out to see the first bad row.",
  });
}

/** `notSampled` -> `not sampled` */
const inWords = (name: string): string => name.replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);

/** Found out before a gigabyte is read, not after. */
function checkTokenizer(mixture: Mixture, { tokenizer }: MixOptions): void {
  if (tokenizer !== undefined) return;
  const splits = mixture.sources.filter(
    ({ format }) => format !== "auto" && sourceNamed(format).textsToCount !== undefined,
  );
  if (splits.length === 0 && !needsTokens(mixture)) return;
  const why =
    splits.length === 0
      ? "token quotas"
      : `splitting by tokens (${splits.map(({ name }) => name).join(", ")})`;
  throw new SettingsError("ERR_MIX_TOKENIZER", `${why} needs a tokenizer.`, {
    fix: "add --tokenizer DIR: the folder of the model to be trained, or any folder with its tokenizer.json.",
  });
}

/** Whether a quota is counted in trained tokens. */
function needsTokens({ sources, total }: Mixture): boolean {
  if (total !== undefined && "trainedTokens" in total) return true;
  return sources.some(({ quota }) => quota?.by === "trained-tokens");
}

/** In the order of the published table; a source that is not there counts as empty. */
function compareReleased(
  released: NonNullable<MixOptions["released"]>,
  sources: Manifest["sources"],
): ReleasedCount[] {
  return Object.entries(released).map(([source, expected]) => {
    const { sampled = 0, written = 0 } = sources.find(({ name }) => name === source) ?? {};
    return {
      source,
      sampled,
      written,
      expected,
      equal: sampled === expected.sampled && written === expected.written,
    };
  });
}

/** A stream for each source, independent of its neighbours: the seed and the name decide. */
function sourceRandom(seed: number, name: string): PythonRandom {
  let hash = seed >>> 0;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0;
  return new PythonRandom(hash);
}
