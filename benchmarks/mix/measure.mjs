/**
 * Times `camelid mix` over raw files of make-raw.mjs: wall, processor seconds, peak memory of the whole process.
 *
 *     npm run build
 *     node benchmarks/mix/make-raw.mjs /tmp/raw 1
 *     taskset -c 0,1 node benchmarks/mix/measure.mjs /tmp/raw [--tokenizer DIR] [--benchmarks DIR] [case ...]
 *
 * Megabytes are those of the raw files a case reads; Parquet counts as its text (what it unpacks to). On a busy machine
 * wall time says little: `mb_per_cpu_second` times the cores is what an idle machine gives.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const words = process.argv.slice(2);
const flag = (name) => {
  const at = words.indexOf(name);
  return at === -1 ? undefined : words.splice(at, 2)[1];
};
const tokenizer = flag("--tokenizer");
const benchmarks = flag("--benchmarks");
const threads = flag("--threads") ?? "2";
const main =
  flag("--main") ?? fileURLToPath(new URL("../../packages/camelid/dist/cli/main.js", import.meta.url));
const [raw, ...chosen] = words;

const cases = {
  plain: ["--dedup", "exact", "--no-parquet"],
  parquet: ["--dedup", "exact"],
  near: ["--dedup", "near", "--no-parquet"],
  ...(benchmarks && { decontaminate: ["--decontaminate", benchmarks, "--no-parquet"] }),
  ...(benchmarks && {
    everything: ["--dedup", "exact,near", "--decontaminate", benchmarks, "--held-out", "0.01"],
  }),
  ...(tokenizer && { lengths: ["--dedup", "exact", "--no-parquet", "--tokenizer", tokenizer] }),
};
for (const [name, flags] of Object.entries(cases)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const out = mkdtempSync(join(tmpdir(), "mix-bench-"));
  const command = [
    main,
    "mix",
    "--preset",
    "tulu2",
    "--sources",
    raw,
    "--out",
    join(out, "mix"),
    "--allow-missing",
    "--threads",
    threads,
    ...flags,
  ];
  const started = performance.now();
  const { status, stderr } = spawnSync("/usr/bin/time", ["-f", "%U %S %M", process.execPath, ...command], {
    encoding: "utf8",
    env: { ...process.env, RAYON_NUM_THREADS: threads },
  });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(stderr);
  const [user, system, kilobytes] = stderr.trim().split("\n").at(-1).split(" ").map(Number);
  const manifest = JSON.parse(readFileSync(join(out, "mix/manifest.json"), "utf8"));
  const megabytes =
    manifest.sources
      .flatMap(({ files }) => files)
      .reduce((sum, { bytes, file }) => sum + (file.endsWith(".parquet") ? PARQUET_TEXT(file) : bytes), 0) /
    1e6;
  const round = (value) => Math.round(value * 10) / 10;
  const result = {
    case: name,
    raw_mb: Math.round(megabytes),
    rows_read: manifest.totals.read,
    rows_written: manifest.totals.written,
    seconds: round(seconds),
    mb_per_second: round(megabytes / seconds),
    cpu_seconds: round(user + system),
    mb_per_cpu_second: round(megabytes / (user + system)),
    peak_mb: Math.round(kilobytes / 1024),
    out_mb: Math.round(statSync(join(out, "mix/train.jsonl")).size / 1e6),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  rmSync(out, { recursive: true });
}

/** Measured on the generated file: as JSON lines it has 1.87 times its bytes. */
function PARQUET_TEXT(file) {
  return statSync(file).size * 1.87;
}
