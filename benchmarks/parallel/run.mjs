// Strong scaling on processes of one thread: see README.md.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { initModel, parseConfig, saveModel } from "../../packages/camelid/dist/index.js";
import { startAlone, startRanks } from "./start.mjs";

const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    processes: { type: "string", default: "1,2,4" },
    steps: { type: "string", default: "6" },
    rounds: { type: "string", default: "3" },
    variants: { type: "string", default: "" },
  },
});
const { small } = values;
const program = fileURLToPath(new URL("./rank.mjs", import.meta.url));
const [hidden, intermediate, layers, vocabulary] = small ? [192, 512, 4, 8000] : [512, 1376, 8, 16000];
const config = parseConfig({
  model_type: "llama",
  vocab_size: vocabulary,
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: layers,
  num_attention_heads: 8,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
});
const folder = mkdtempSync(join(tmpdir(), "camelid-parallel-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const model = initModel(config, { dtype: "bfloat16" });
saveModel(model, folder);
model[Symbol.dispose]();
const work = {
  folder,
  rows: small ? 8 : 16,
  seqLen: small ? 128 : 512,
  rowsPerPass: 2,
  steps: Number(values.steps),
};

const counts = values.processes.split(",").map(Number);
const variants = counts
  .flatMap((count) =>
    count === 1
      ? [{ name: "alone", count, shard: "none", overlapped: true }]
      : [
          { name: "limit", count, separate: true },
          { name: "overlapped", count, shard: "none", overlapped: true },
          { name: "after the pass", count, shard: "none", overlapped: false },
          { name: "shard optimizer", count, shard: "optimizer", overlapped: true },
          { name: "shard gradients", count, shard: "gradients", overlapped: true },
          { name: "shard parameters", count, shard: "parameters", overlapped: true },
        ],
  )
  .filter(({ name }) => values.variants === "" || values.variants.split(",").includes(name));

const best = new Map();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const variant of variants) {
    const result = await measure(variant);
    const before = best.get(variant);
    if (before === undefined || result.rate > before.rate) best.set(variant, result);
  }
}
const alone = [...best].find(([{ count }]) => count === 1)?.[1].rate;
console.log(`${cpus()[0]?.model}, ${cpus().length} processors; ${work.rows} x ${work.seqLen} tokens a step`);
console.log("processes  variant           tokens/s  efficiency      peak");
for (const [{ name, count }, { rate, peak }] of best) {
  const share = alone === undefined ? "" : `${((100 * rate) / (alone * count)).toFixed(0)} %`;
  console.log(
    `${String(count).padEnd(10)} ${name.padEnd(16)} ${rate.toFixed(0).padStart(9)} ${share.padStart(11)} ${`${(peak / 2 ** 20).toFixed(0)} MiB`.padStart(9)}`,
  );
}

async function measure({ count, shard, overlapped, separate = false }) {
  // Processes that do not talk: each takes its part of the rows and trains a model of its own.
  const part = separate
    ? { ...work, rows: work.rows / count, shard: "none", overlapped: true }
    : { ...work, shard, overlapped };
  const results = await (separate ? startAlone(program, part, count) : startRanks(program, part, count));
  const rates = results.map(({ tokensPerSecond }) => tokensPerSecond);
  const rate = separate ? rates.reduce((sum, one) => sum + one, 0) : Math.min(...rates);
  return { rate, peak: Math.max(...results.map(({ peakBytes }) => peakBytes)) };
}
