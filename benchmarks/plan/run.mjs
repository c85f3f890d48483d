// What camelid plan says of one, two and four processes, beside what they do: see README.md.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { initModel, parseConfig, saveModel } from "../../packages/camelid/dist/index.js";
import { findHardware } from "../../packages/camelid/dist/plan/hardware.js";
import { Planner } from "../../packages/camelid/dist/plan/plan.js";
import * as torch from "../../packages/torch/dist/index.js";
import { startRanks } from "../parallel/start.mjs";

const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    processes: { type: "string", default: "1,2,4" },
    shards: { type: "string", default: "none,optimizer,gradients,parameters" },
    steps: { type: "string", default: "6" },
    rounds: { type: "string", default: "3" },
  },
});
enterOwnNetwork();

const { small } = values;
const [hidden, intermediate, layers, vocabulary] = small ? [256, 704, 12, 8000] : [512, 1376, 8, 16000];
const [rows, seqLen, rowsPerPass] = [small ? 8 : 16, small ? 128 : 512, 2];
const config = {
  ...{ model_type: "llama", vocab_size: vocabulary, hidden_size: hidden, intermediate_size: intermediate },
  ...{ num_hidden_layers: layers, num_attention_heads: 8, max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
};
const programOf = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "camelid-plan-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

torch.setNumThreads(1);
const model = initModel(parseConfig(config), { dtype: "bfloat16" });
saveModel(model, folder);
model[Symbol.dispose]();

const counts = values.processes.split(",").map(Number);
const links = await measuredLinks(Math.max(...counts.filter((count) => count > 1), 2));
const settings = {
  ...{ precision: "bf16-mixed", lora: null, quantize: null, optimizer: "adamw", shard: "none" },
  ...{ optimizerInBackward: false, activationCheckpointing: false, betas: [0.9, 0.95], eps: 1e-8 },
  ...{ weightDecay: 0, maxGradNorm: 1, epochs: 1, maxSteps: null, seed: 1, packing: false },
  ...{ maxSeqLen: seqLen, microBatchSize: rowsPerPass, gradAccumSteps: rows / rowsPerPass },
};
const data = { lengths: Array.from({ length: rows }, () => seqLen) };
const planner = new Planner({
  ...{ config: parseConfig(config), settings, recipe: "sft", hardware: findHardware("here") },
  ...{ rate: 0, data, links },
});

console.log(
  `${cpus()[0]?.model}, ${cpus().length} processors; ${rows} x ${seqLen} tokens a step, bf16-mixed`,
);
console.log("processes  shard            step, ms          memory, MB        on the link, MB");
console.log("                        planned   real     planned   real     planned     real");
for (const count of counts) {
  for (const shard of count === 1 ? ["none"] : values.shards.split(",")) {
    const plan = planner.plan(count, { shard });
    const real = await measured(count, shard);
    const ms = (seconds) => (1000 * seconds).toFixed(0);
    const mb = (bytes) => (bytes / 1e6).toFixed(1);
    const cells = [
      ...[ms(plan.step.total).padStart(8), ms(real.seconds).padStart(7)],
      ...[mb(plan.memory.peak).padStart(12), mb(real.bytes).padStart(7)],
      ...(count === 1 ? [] : [mb(plan.sentBytes).padStart(12), mb(real.loopback).padStart(9)]),
    ];
    console.log(`${String(count).padEnd(11)}${shard.padEnd(12)}${cells.join("")}`);
  }
}

/** The best of several runs; memory is that of the fullest rank. */
async function measured(count, shard) {
  let best = { seconds: Number.POSITIVE_INFINITY };
  const work = { folder, rows, seqLen, rowsPerPass, shard, overlapped: true, steps: Number(values.steps) };
  for (let round = 0; round < Number(values.rounds); round++) {
    const ranks = await startRanks(programOf("../parallel/rank.mjs"), work, count);
    const seconds = Math.max(...ranks.map((rank) => rank.secondsPerStep));
    if (seconds > best.seconds) continue;
    const bytes = Math.max(...ranks.map((rank) => rank.tensorBytes));
    best = { seconds, bytes, loopback: ranks[0].loopback };
  }
  return best;
}

/** Speed, adding and latency of Gloo on this machine, as the formulas of `plan/collectives.ts` have them. */
async function measuredLinks(count) {
  const [short, long] = [64, 25 * 2 ** 20];
  const ranks = await startRanks(programOf("./link.mjs"), { sizes: [short, long], rounds: 10 }, count);
  const [{ allReduce, reduce, broadcast }] = ranks;
  const latency = allReduce[short] / (2 * (count - 1));
  const linkBytes = (Math.ceil(Math.log2(count)) * long) / (broadcast[long] - broadcast[short]);
  const others = ((count - 1) / count) * long;
  const sumBytes = others / (allReduce[long] - allReduce[short] - (2 * others) / linkBytes);
  const ms = (seconds) => `${(1000 * seconds).toFixed(1)} ms`;
  const rate = (bytes) => `${(bytes / 1e9).toFixed(2)} GB/s`;
  console.log(
    `Gloo between ${count} processes: ${rate(linkBytes)}, adds ${rate(sumBytes)}, ${(latency * 1e6).toFixed(0)} us a message`,
  );
  console.log(
    `  25 MiB: all-reduce ${ms(allReduce[long])}, reduce ${ms(reduce[long])}, broadcast ${ms(broadcast[long])}`,
  );
  return { linkBytes, sumBytes, latency };
}

/** In a network of its own only these processes are on the loopback device. Where that is not allowed, its counter means little. */
function enterOwnNetwork() {
  if (process.env.CAMELID_OWN_NETWORK !== undefined) return;
  const script = 'ip link set lo up && exec "$0" "$@"';
  const words = ["-Urn", "sh", "-c", script, process.execPath, ...process.argv.slice(1)];
  if (spawnSync("unshare", ["-Urn", "ip", "link", "set", "lo", "up"]).status !== 0) {
    console.log("no network of its own (unshare, ip): bytes on the link include those of other programs");
    return;
  }
  const env = { ...process.env, CAMELID_OWN_NETWORK: "yes" };
  process.exit(spawnSync("unshare", words, { env, stdio: "inherit" }).status ?? 1);
}
