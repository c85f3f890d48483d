// Runs Camelid and its peers in turn on the same model and rows; see README.md.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeModel } from "./make-model.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    python: { type: "string", default: process.env.PYTHON ?? "python3" },
    data: { type: "string" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "4" },
    steps: { type: "string", default: "16" },
    only: { type: "string" },
  },
});
if (values.data === undefined) throw new Error("--data: a JSONL file of conversations is needed");
const work = mkdtempSync(join(tmpdir(), "camelid-bench-"));

const node = (script, ...args) => ["node", [join(here, script), ...args]];
const python = (script, ...args) => [values.python, [join(here, script), ...args]];

try {
  const texts = readFileSync(values.data, "utf8");
  const cases = [];
  const wanted = (name) => values.only === undefined || values.only === name;
  if (wanted("real") || wanted("render")) {
    const model = await makeModel(join(work, "41m"), texts, {
      hidden: 512,
      intermediate: 1376,
      layers: 8,
      heads: 8,
    });
    const renderCase = {
      name: "render, tokenise and label all rows",
      report: reportRendering,
      contestants: {
        camelid: node("render_rows.mjs", "camelid", model, values.data),
        "tokenizer library alone": node("render_rows.mjs", "library", model, values.data),
        trl: python("trl_render.py", model, values.data),
      },
    };
    if (wanted("render")) cases.push(renderCase);
    const rowsCase = {
      name: "real rows, batch 8, 41M, bf16",
      contestants: {
        camelid: node("camelid-rows.mjs", model, values.data),
        trl: python("trl_rows.py", model, values.data),
        "packed PyTorch": python("packed_rows.py", model, values.data),
      },
    };
    if (wanted("real")) cases.push(rowsCase);
  }
  if (wanted("dense")) {
    const model = await makeModel(join(work, "134m"), texts, {
      hidden: 768,
      intermediate: 2048,
      layers: 12,
      heads: 12,
    });
    cases.push({
      name: "dense 4 x 512, 134M, bf16",
      contestants: {
        camelid: node("camelid-dense.mjs", model),
        transformers: python("hf_dense.py", model),
        "matrix products alone": python("gemm_only.py", model),
      },
    });
  }
  for (const { name, contestants, report = reportTraining } of cases) report(name, compare(contestants));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function compare(contestants) {
  const results = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, [command, args]] of Object.entries(contestants)) {
      const env = {
        ...process.env,
        BENCH_THREADS: values.threads,
        BENCH_STEPS: values.steps,
        RAYON_NUM_THREADS: values.threads,
      };
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

function median(numbers) {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/** Rows a second of wall time, and of processor time: the second hardly minds what else the machine does. */
function reportRendering(name, results) {
  console.log(`\n${name}, ${values.threads} threads, ${values.rounds} rounds in turn`);
  for (const [contestant, runs] of Object.entries(results)) {
    const line = ["seconds", "cpuSeconds"].map((clock) => {
      const speeds = runs.map((run) => run.rows / run[clock]);
      const ratios = results.camelid.map((run, i) => runs[i][clock] / run[clock]).sort((a, b) => a - b);
      const range = `${Math.min(...speeds).toFixed(0)}-${Math.max(...speeds).toFixed(0)}`;
      const spread = `${ratios[0].toFixed(2)}-${ratios.at(-1).toFixed(2)}`;
      const ratio = contestant === "camelid" ? "" : `, camelid is ${median(ratios).toFixed(2)}x (${spread})`;
      return `${median([...speeds]).toFixed(0)} rows/${clock === "seconds" ? "s" : "CPU s"} (${range})${ratio}`;
    });
    console.log(`  ${contestant.padEnd(24)} ${line.join("; ")}`);
  }
}

function reportTraining(name, results) {
  console.log(`\n${name}, ${values.threads} threads, ${values.rounds} rounds in turn`);
  const own = results.camelid.map((result) => result.tokensPerSecond);
  for (const [contestant, runs] of Object.entries(results)) {
    const speeds = runs.map((result) => result.tokensPerSecond);
    const ratios = speeds.map((speed, i) => own[i] / speed).sort((a, b) => a - b);
    const range = `${Math.min(...speeds).toFixed(0)}-${Math.max(...speeds).toFixed(0)}`;
    console.log(
      `  ${contestant.padEnd(22)} ${median([...speeds])
        .toFixed(0)
        .padStart(6)} tok/s (${range})  peak ${(median(runs.map((r) => r.peakBytes)) / 1e9).toFixed(2)} GB` +
        `  loss ${runs[0].losses.map((loss) => loss.toFixed(3)).join(" ")}` +
        (contestant === "camelid" ? "" : `  camelid is ${ratios[Math.floor(ratios.length / 2)].toFixed(2)}x`),
    );
  }
}
