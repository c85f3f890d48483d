/** `camelid mix`: raw files to a written mixture, and questions to one that is written. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import type { ReleasedCount } from "../../data/mix/manifest.js";
import type { MixOptions } from "../../data/mix/mix.js";
import type { Mixture } from "../../data/mixture.js";
import { DataError, SettingsError } from "../../errors.js";
import { Interrupt } from "../../run/interrupt.js";
import { outputMode, Progress } from "../../run/progress.js";
import { fetchNamedModels } from "../fetch-models.js";

interface MixFlags {
  preset?: "tulu2" | "tulu1";
  config?: string;
  sources?: string;
  out: string;
  tokenizer?: string;
  filter?: "substring" | "word" | "none";
  dedup?: ("exact" | "near")[];
  decontaminate?: string;
  heldOut?: number;
  neutralIdentity: boolean;
  expectReleased: boolean;
  beside?: string;
  lengths: boolean;
  allowMissing: boolean;
  onBad: "stop" | "error" | "skip"; // `error` is what trainers call `stop`
  threads?: number;
  parquet: boolean;
  explain?: string;
  json: boolean;
}

export function command(): Command {
  return new Command("mix")
    .description(
      "Builds a mixture: train.jsonl, train.parquet, manifest.json, lineage.parquet, removed.jsonl, report.html.\n" +
        "A preset reads the original raw files under --sources; --config is a mixture of your own (JSON or YAML).",
    )
    .addOption(new Option("--preset <name>", "mixture of a paper").choices(["tulu2", "tulu1"]))
    .option("--config <file>", "mixture of your own")
    .option("--sources <dir>", "raw files of the preset, one folder per source")
    .requiredOption("--out <dir>", "folder to write; with --explain, the mixture to ask")
    .option(
      "--tokenizer <dir>",
      "folder with tokenizer.json, or org/name on a hub: splits by tokens, token quotas, lengths",
    )
    .addOption(
      new Option("--filter <mode>", "keyword filter; tulu2 has substring, quirks included").choices([
        "substring",
        "word",
        "none",
      ]),
    )
    .option("--dedup <how>", "exact, near, or exact,near", dedupKinds)
    .option("--decontaminate <dir>", "take out rows that hold texts of the evaluation sets in DIR")
    .option("--held-out <share>", "share of rows for held-out.jsonl; no duplicate crosses", share)
    .option("--neutral-identity", "use the project's own identity rows where hard_coded is not there", false)
    .option("--expect-released", "fail unless every source has the counts of the published mixture", false)
    .option("--beside <dir>", "another mixture whose lengths report.html shows beside this one's")
    .option("--no-lengths", "do not count the tokens of every row for the report")
    .option(
      "--allow-missing",
      "go on without sources, or with fewer rows than a quota; the manifest says so",
      false,
    )
    .addOption(
      new Option("--on-bad <what>", "rows that cannot be read or converted")
        .choices(["stop", "error", "skip"])
        .default("stop"),
    )
    .option("--threads <n>", "threads that convert rows; default: the cores, at most 8", wholeNumber)
    .option("--no-parquet", "do not write train.parquet")
    .option("--explain <id>", "tell where a row comes from or why it is missing (an id, or FILE:ROW)")
    .option("--json", "progress and result for machines", false)
    .action(async (flags: MixFlags) => {
      if (flags.explain !== undefined) await answer(flags, flags.explain);
      else await build(flags);
    });
}

async function answer({ out, json }: MixFlags, what: string): Promise<void> {
  const { explain, explanationText } = await import("../../data/mix/explain.js");
  const explanations = await explain(out, what);
  process.stdout.write(json ? `${JSON.stringify(explanations)}\n` : explanationText(what, explanations));
}

async function build(flags: MixFlags): Promise<void> {
  const { mix } = await import("../../data/mix/mix.js");
  const { mixture: found, missing, released } = await mixtureOf(flags);
  const mixture = withSwitches(found, flags);
  const fetched = await fetchNamedModels(
    flags.tokenizer === undefined ? {} : { tokenizer: flags.tokenizer },
    { mode: outputMode(flags.json) },
  );
  using progress = new Progress({ label: "mix", unit: "row", mode: outputMode(flags.json) });
  let before = 0;
  let current = "";
  let currentRows = 0;
  const options: MixOptions = {
    out: flags.out,
    ...fetched,
    countTokens: flags.lengths,
    onBad: flags.onBad === "skip" ? "skip" : "stop",
    allowFewer: flags.allowMissing,
    threads: flags.threads ?? Math.min(8, availableParallelism()),
    parquet: flags.parquet,
    ...(flags.beside !== undefined && { beside: flags.beside }),
    missing,
    ...(released && { released }),
    onProgress: ({ source, rows }) => {
      if (source !== current) before += currentRows;
      current = source;
      currentRows = rows;
      progress.update(before + rows, { source });
    },
  };
  using interrupt = new Interrupt({
    say: () => progress.print("Stopping. Press Ctrl+C again to leave at once."),
  });
  const manifest = await mix(mixture, { ...options, signal: interrupt.signal }).catch((error: unknown) => {
    if (interrupt.signal.aborted) return undefined;
    throw error;
  });
  progress.end();
  if (manifest === undefined) {
    process.stderr.write("interrupted; nothing was written\n");
    process.exitCode = 130;
    return;
  }
  const different = manifest.released?.filter(({ equal }) => !equal) ?? [];
  if (flags.expectReleased && (manifest.released === undefined || different.length > 0))
    throw releasedError(flags.out, different);
  const { totals, sources } = manifest;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ event: "mix-end", out: flags.out, totals })}\n`);
    return;
  }
  const notes = sources.flatMap(({ name, notes }) => notes.map((note) => `  ${name}: ${note}\n`));
  const absent = missing.map(({ source, looked }) => `  ${source}: not there (${looked})\n`);
  process.stdout.write(
    `${flags.out}: ${totals.written} rows of ${totals.read} read (${sources.length} sources); report.html shows the rest\n${[...notes, ...absent].join("")}`,
  );
  if (totals.bad > 0)
    process.stdout.write(`  ${totals.bad} bad rows were skipped; manifest.json lists them\n`);
}

async function mixtureOf({
  preset,
  config,
  sources,
  tokenizer,
  allowMissing,
  neutralIdentity,
}: MixFlags): Promise<{
  mixture: Mixture;
  missing: NonNullable<MixOptions["missing"]>;
  released?: NonNullable<MixOptions["released"]>;
}> {
  if ((preset === undefined) === (config === undefined)) {
    throw new SettingsError("ERR_MIX_SETTINGS", "say what to mix.", {
      fix: "give --preset tulu2 (or tulu1) with --sources DIR, or --config FILE, and not both.",
    });
  }
  if (config !== undefined) {
    if (sources !== undefined) {
      throw new SettingsError("ERR_MIX_SETTINGS", "--sources belongs to presets.", {
        fix: "in a mixture of your own each source names its files; leave --sources out.",
      });
    }
    const { readMixtureFile } = await import("../../data/mixture-file.js");
    return { mixture: await withHubFiles(readMixtureFile(config)), missing: [] };
  }
  if (sources === undefined) {
    throw new SettingsError("ERR_MIX_SETTINGS", `the preset ${preset} needs its raw files.`, {
      fix: "give --sources DIR, a folder with one folder per source (flan_v2, cot, oasst1, ...).",
    });
  }
  const { tulu1Mixture, tulu2Mixture } = await import("../../data/presets/tulu.js");
  const locate = preset === "tulu1" ? tulu1Mixture : tulu2Mixture;
  const identityFile = neutralIdentity ? await writeIdentityRows() : undefined;
  return locate(sources, {
    allowMissing,
    hasTokenizer: tokenizer !== undefined,
    ...(identityFile !== undefined && { identityFile }),
  });
}

async function writeIdentityRows(): Promise<string> {
  const { identityCsv } = await import("../../data/presets/identity-rows.js");
  const path = join(mkdtempSync(join(tmpdir(), "camelid-identity-")), "identity-rows.csv");
  writeFileSync(path, identityCsv());
  return path;
}

function releasedError(out: string, different: readonly ReleasedCount[]): DataError {
  const lines = different.map(
    ({ source, sampled, written, expected }) =>
      `  ${source}: ${sampled} sampled and ${written} written, published ${expected.sampled} and ${expected.written}`,
  );
  return new DataError(
    "ERR_MIX_NOT_RELEASED",
    `the mixture differs from the published one.\n${lines.join("\n") || "  no counts are published for it"}`,
    {
      where: out,
      fix: "check that the raw files are the originals; the mixture was written all the same.",
    },
  );
}

/** Flags win over the mixture; what they leave out stays as it is. */
function withSwitches(mixture: Mixture, { filter, dedup, decontaminate, heldOut }: MixFlags): Mixture {
  const { filter: own, ...rest } = mixture;
  const keyword = filter === undefined ? own : filter === "none" ? undefined : { ...own, mode: filter };
  return {
    ...rest,
    ...(keyword && { filter: keyword }),
    ...(dedup && {
      dedup: { ...(dedup.includes("exact") && { exact: {} }), ...(dedup.includes("near") && { near: {} }) },
    }),
    ...(decontaminate !== undefined && {
      decontaminate: { benchmarks: { folder: decontaminate }, action: "remove" } as const,
    }),
    ...(heldOut !== undefined && { heldOut: { fraction: heldOut } }),
  };
}

/** Replaces `hub:org/name@revision` by files of the cache, and notes the commit they are of. */
async function withHubFiles(mixture: Mixture): Promise<Mixture> {
  if (
    !mixture.sources.some(({ parts }) =>
      parts.some(({ files }) => files.some((file) => file.includes("hub:"))),
    )
  )
    return mixture;
  const { isHubDataset, resolveDataset } = await import("../../weights/hub-dataset.js");
  const sources = await Promise.all(
    mixture.sources.map(async (source) => {
      const notes: string[] = [];
      const resolve = async (file: string): Promise<readonly string[]> => {
        if (!isHubDataset(file)) return [file];
        const { files, hub } = await resolveDataset(file);
        notes.push(`${hub.id} at commit ${hub.commit} (${hub.revision})`);
        return files;
      };
      const parts = await Promise.all(
        source.parts.map(async (part) => ({
          ...part,
          files: (await Promise.all(part.files.map(resolve))).flat(),
        })),
      );
      return { ...source, parts, ...(notes.length > 0 && { notes: [...(source.notes ?? []), ...notes] }) };
    }),
  );
  return { ...mixture, sources };
}

function dedupKinds(text: string): ("exact" | "near")[] {
  const kinds = text.split(",");
  if (kinds.every((kind): kind is "exact" | "near" => kind === "exact" || kind === "near")) return kinds;
  throw new SettingsError("ERR_INVALID_VALUE", `--dedup is ${JSON.stringify(text)}.`, {
    fix: "give exact, near, or exact,near.",
  });
}

function share(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new SettingsError("ERR_INVALID_VALUE", `--held-out is ${JSON.stringify(text)}.`, {
    fix: "give a share between 0 and 1: 0.01 is 1 %.",
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new SettingsError("ERR_INVALID_VALUE", `--threads is ${JSON.stringify(text)}.`, {
    fix: "give a whole number from 1.",
  });
}
