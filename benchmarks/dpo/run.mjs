// Runs Camelid, without one of its ingredients each, and TRL in turn on the same model and pairs; see README.md.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { preparePairs } from "./prepare-pairs.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    python: { type: "string", default: process.env.PYTHON ?? "python3" },
    data: { type: "string" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "4" },
    steps: { type: "string", default: "12" },
    only: { type: "string" },
    size: { type: "string", default: "41m" },
  },
});
if (values.data === undefined) throw new Error("--data: a file of preference pairs is needed");
const MAX_TOKENS = 1024;
const PAIRS_A_STEP = 4;
const WARM_UP = 3;
const work = mkdtempSync(join(tmpdir(), "camelid-bench-"));

try {
  const { model, pairs, count, tokens } = await preparePairs(work, {
    data: values.data,
    size: values.size,
    count: (WARM_UP + Number(values.steps)) * PAIRS_A_STEP,
    maxTokens: MAX_TOKENS,
  });
  console.log(`${count} pairs, ${(tokens / count).toFixed(0)} tokens each with the prompt counted twice`);
  const node = (...flags) => ["node", [join(here, "camelid-pairs.mjs"), model, pairs, ...flags]];
  const python = (...flags) => [values.python, [join(here, "trl_pairs.py"), model, pairs, ...flags]];
  const contestants = {
    camelid: node(),
    "without stored reference": node("copy"),
    "without packing": node("single"),
    "without shared prompts": node("twice"),
    "without all three": node("copy", "single", "twice"),
    ...(values.only !== "camelid" && { trl: python(), "trl, precomputed": python("precompute") }),
  };
  report(compare(contestants), count);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function compare(contestants) {
  const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  const env = {
    ...process.env,
    BENCH_THREADS: values.threads,
    BENCH_STEPS: values.steps,
    BENCH_WARM_UP: String(WARM_UP),
    BENCH_MAX_TOKENS: String(MAX_TOKENS),
    BENCH_PAIRS: String(PAIRS_A_STEP),
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, [command, args]] of Object.entries(contestants)) {
      const output = execFileSync(command, args, {
        encoding: "utf8",
        env,
        stdio: ["ignore", "pipe", "ignore"],
      });
      const result = JSON.parse(output.trim().split("\n").at(-1));
      results[name].push(result);
      console.error(`round ${round + 1}  ${name}  ${JSON.stringify(result)}`);
    }
  }
  return results;
}

function report(results, count) {
  const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
  const rates = {
    steps: (run) => run.pairsPerSecond,
    // A pass of `reference` seconds over all pairs comes before, whatever the number of epochs.
    "one epoch": (run) => 1 / (1 / run.pairsPerSecond + run.referenceSeconds / count),
    "three epochs": (run) => 3 / (3 / run.pairsPerSecond + run.referenceSeconds / count),
  };
  console.log(
    `\n41M, bf16, ${PAIRS_A_STEP} pairs a step, ${values.threads} threads, ${values.rounds} rounds in turn; pairs/s`,
  );
  const row = (...cells) =>
    console.log(
      `  ${cells[0].padEnd(26)}${cells
        .slice(1)
        .map((cell) => cell.padStart(14))
        .join("")}`,
    );
  row("", ...Object.keys(rates), "peak GB", "losses");
  for (const [name, runs] of Object.entries(results)) {
    const cells = Object.values(rates).map((rate) => median(runs.map(rate)).toFixed(2));
    const losses = runs[0].losses.map((loss) => loss.toFixed(3)).join(" ");
    row(name, ...cells, (median(runs.map((run) => run.peakBytes)) / 1e9).toFixed(2), losses);
  }
  console.log("\ncamelid against each, median of the rounds");
  row("", ...Object.keys(rates), "peak");
  for (const [name, runs] of Object.entries(results)) {
    if (name === "camelid") continue;
    const ratio = (rate) => median(runs.map((run, i) => rate(results.camelid[i]) / rate(run)));
    const cells = Object.values(rates).map((rate) => `${ratio(rate).toFixed(2)}x`);
    row(name, ...cells, `${ratio((run) => run.peakBytes).toFixed(2)}x`);
  }
}
