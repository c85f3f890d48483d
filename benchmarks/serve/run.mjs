// Tokens a second and time to first token of `camelid serve`, its engine alone, and llama.cpp; see README.md.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exportModel } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";
import { markdown } from "./markdown.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({
  options: {
    model: { type: "string" },
    clients: { type: "string", default: "1,8,32" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "4" },
    precision: { type: "string", default: "bf16,fp32" },
    "prompt-tokens": { type: "string", default: "128" },
    "new-tokens": { type: "string", default: "64" },
    "llama-cpp": { type: "string", default: here("../../tests/gguf/node_modules") },
    out: { type: "string", default: "bench-serve" },
  },
});
if (values.model === undefined) throw new Error("--model: a model folder is needed");
torch.setNumThreads(Number(values.threads));
const work = mkdtempSync(join(tmpdir(), "camelid-bench-serve-"));
const hasLlamaCpp = existsSync(join(values["llama-cpp"], "node-llama-cpp"));
if (!hasLlamaCpp)
  console.error("node-llama-cpp is not installed (tests/gguf/README.md): llama.cpp is left out.");

try {
  const record = {
    cpu: cpus()[0]?.model.trim(),
    node: process.version,
    loadBefore: loadavg()[0],
    ...values,
    runs: [],
  };
  for (const precision of values.precision.split(",")) {
    const settings = await settingsFor(precision);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const contestant of ["serve", "engine", ...(hasLlamaCpp ? ["llama-cpp"] : [])]) {
        const { results, texts } = measure(contestant, settings);
        record.runs.push({ precision, round, contestant, results, texts });
        for (const [clients, one] of Object.entries(results))
          console.error(
            `${precision}  round ${round + 1}  ${contestant.padEnd(9)}  ${clients.padStart(2)} clients  ${one.tokensPerSecond.toFixed(1)} tok/s, first token ${one.firstTokenMedianMs.toFixed(0)} ms (p95 ${one.firstTokenP95Ms.toFixed(0)})`,
          );
      }
    }
  }
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, "serve.json"), `${JSON.stringify(record, null, 1)}\n`);
  writeFileSync(join(values.out, "serve.md"), markdown(record));
  console.log(markdown(record));
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function settingsFor(precision) {
  const type = precision === "fp32" ? "f32" : "bf16";
  const out = join(work, `gguf-${type}`);
  let gguf;
  if (hasLlamaCpp) {
    const { gguf: written } = await exportModel({ model: values.model, to: "gguf", type, out });
    gguf = join(out, written.file);
  }
  return {
    model: values.model,
    gguf,
    llamaCpp: values["llama-cpp"],
    precision,
    threads: Number(values.threads),
    clients: values.clients.split(",").map(Number),
    perClient: 2,
    leastRequests: 8,
    promptTokens: Number(values["prompt-tokens"]),
    newTokens: Number(values["new-tokens"]),
    vocabSize: JSON.parse(readFileSync(join(values.model, "config.json"), "utf8")).vocab_size,
  };
}

function measure(contestant, settings) {
  const output = execFileSync(
    process.execPath,
    [here("contestant.mjs"), contestant, JSON.stringify(settings)],
    {
      encoding: "utf8",
      env: { ...process.env, OMP_NUM_THREADS: String(settings.threads) },
      stdio: ["ignore", "pipe", "inherit"],
      maxBuffer: 2 ** 26,
    },
  );
  return JSON.parse(output.trim().split("\n").at(-1));
}
