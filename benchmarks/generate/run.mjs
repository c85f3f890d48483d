// Runs Camelid and its peers in turn on the same model and prompts; see README.md.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeModel } from "../sft/make-model.mjs";
import { makePrompts } from "./make-prompts.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    python: { type: "string", default: process.env.PYTHON ?? "python3" },
    data: { type: "string" },
    model: { type: "string" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "4" },
    items: { type: "string", default: "128" },
    "new-tokens": { type: "string", default: "128" },
    "kv-bytes": { type: "string", default: String(512 * 2 ** 20) },
    only: { type: "string" },
  },
});
if (values.data === undefined) throw new Error("--data: a JSONL file of conversations is needed");
const work = mkdtempSync(join(tmpdir(), "camelid-bench-"));

const node = (script, ...args) => ["node", [join(here, script), ...args]];
const python = (script, ...args) => [values.python, [join(here, script), ...args]];
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

try {
  const texts = readFileSync(values.data, "utf8");
  const sizes = { hidden: 512, intermediate: 1376, layers: 8, heads: 8 };
  const model = values.model ?? (await makeModel(join(work, "41m"), texts, sizes));
  const prompts = await makePrompts(work, model, texts, Number(values.items));
  for (const dtype of ["bfloat16", "float32"]) {
    if (values.only !== "score") {
      report(`32 prompts of 16-512 tokens, ${values["new-tokens"]} new ones, 41M, ${dtype}`, "tok/s", {
        camelid: node("camelid-generate.mjs", model, prompts, dtype, values["kv-bytes"]),
        transformers: python("hf_generate.py", model, prompts, dtype),
      });
    }
    if (values.only !== "generate") {
      report(`${values.items} MMLU-like items, 41M, ${dtype}`, "items/s", {
        camelid: node("camelid-score.mjs", model, prompts, dtype),
        "lm-evaluation-harness": python("lm_eval_score.py", model, prompts, dtype),
      });
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

function report(name, unit, contestants) {
  const results = compare(contestants);
  console.log(`\n${name}, ${values.threads} threads, ${values.rounds} rounds in turn`);
  const own = results.camelid;
  for (const [contestant, runs] of Object.entries(results)) {
    const speeds = runs.map((run) => run.perSecond);
    const range = `${Math.min(...speeds).toFixed(1)}-${Math.max(...speeds).toFixed(1)}`;
    const [first] = runs;
    const facts = [
      `${median(speeds).toFixed(1).padStart(8)} ${unit} (${range})`,
      `peak ${(median(runs.map((run) => run.peakBytes)) / 1e9).toFixed(2)} GB`,
      ...(first.kvPeakBytes ? [`keys and values ${(first.kvPeakBytes / 1e6).toFixed(0)} MB`] : []),
      ...(first.meanLogp ? [`mean logp ${first.meanLogp.toFixed(4)}`] : []),
    ];
    if (contestant !== "camelid") {
      const ratios = speeds.map((speed, i) => own[i].perSecond / speed);
      if (first.outputs) facts.push(`${equalTexts(own[0].outputs, first.outputs)} texts equal camelid's`);
      facts.push(
        `camelid is ${median(ratios).toFixed(2)}x (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`,
      );
    }
    console.log(`  ${contestant.padEnd(22)} ${facts.join("  ")}`);
  }
}

function equalTexts(ours, theirs) {
  const equal = ours.filter((ids, i) => ids.every((id, t) => id === theirs[i][t])).length;
  return `${equal} of ${ours.length}`;
}

function compare(contestants) {
  const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  const env = {
    ...process.env,
    BENCH_THREADS: values.threads,
    BENCH_NEW_TOKENS: values["new-tokens"],
    OMP_NUM_THREADS: values.threads,
    HF_HUB_OFFLINE: "1",
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, [command, args]] of Object.entries(contestants)) {
      const output = execFileSync(command, args, {
        encoding: "utf8",
        env,
        stdio: ["ignore", "pipe", "ignore"],
        maxBuffer: 2 ** 28,
      });
      const result = JSON.parse(output.trim().split("\n").at(-1));
      results[name].push(result);
      const { outputs, ...shown } = result;
      console.error(`round ${round + 1}  ${name}  ${JSON.stringify(shown)}`);
    }
  }
  return results;
}
