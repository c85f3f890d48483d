/** What `camelid plan` says of several processes, held against two and four of them: memory of each, messages and bytes. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@camelid/torch";
import { initModel, parseConfig, saveModel } from "camelid";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stepMessages } from "../../packages/camelid/src/plan/exchange.js";
import { findHardware } from "../../packages/camelid/src/plan/hardware.js";
import { blocksOf, trainedParameters } from "../../packages/camelid/src/plan/parameters.js";
import { Planner, type PlanSettings } from "../../packages/camelid/src/plan/plan.js";
import { freePort } from "./free-port.js";

const program = fileURLToPath(new URL("../../benchmarks/parallel/rank.mjs", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "camelid-plan-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** 14 million weights: gradients in bf16 are more than one bucket. */
const config = parseConfig({
  ...{ model_type: "llama", vocab_size: 8000, hidden_size: 256, intermediate_size: 704 },
  ...{ num_hidden_layers: 12, num_attention_heads: 8, max_position_embeddings: 256, rms_norm_eps: 1e-5 },
});
const folder = join(root, "model");
const [rows, seqLen, rowsPerPass] = [8, 64, 2];
let planner: Planner;

beforeAll(() => {
  torch.setNumThreads(1);
  using model = initModel(config, { dtype: "bfloat16" });
  saveModel(model, folder);
  const settings: PlanSettings = {
    ...{ precision: "bf16-mixed", lora: null, quantize: null, optimizer: "adamw" },
    ...{ optimizerInBackward: false, activationCheckpointing: false, betas: [0.9, 0.95], eps: 1e-8 },
    ...{ weightDecay: 0, maxGradNorm: 1, epochs: 1, maxSteps: null, seed: 1, shard: "none" },
    ...{ maxSeqLen: seqLen, microBatchSize: rowsPerPass, gradAccumSteps: rows / rowsPerPass, packing: false },
  };
  const lengths = Array.from({ length: rows }, () => seqLen);
  const hardware = findHardware("here")!;
  planner = new Planner({ config, settings, recipe: "sft", hardware, rate: 0, data: { lengths } });
});

interface Seen {
  tensorBytes: number;
  sent: { messages: number; bytes: number };
}

async function onRanks(count: number, shard: string): Promise<Seen[]> {
  const port = await freePort();
  const work = { folder, rows, seqLen, rowsPerPass, shard, overlapped: true, steps: 2, warmUp: 1 };
  const one = (rank: number): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, RANK: `${rank}`, WORLD_SIZE: `${count}`, LOCAL_WORLD_SIZE: `${count}` };
      const child = spawn(process.execPath, [program, JSON.stringify(work)], {
        env: { ...env, MASTER_ADDR: "127.0.0.1", MASTER_PORT: `${port}` },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let out = "";
      child.stdout.on("data", (chunk) => {
        out += chunk;
      });
      child.on("close", (code) =>
        code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`exit ${code}`)),
      );
    });
  return Promise.all(Array.from({ length: count }, (_, rank) => one(rank)));
}

const cases = (["none", "optimizer", "gradients", "parameters"] as const).flatMap((shard) =>
  [2, 4].map((count) => ({ shard, count })),
);

test.each(cases)(
  "shard $shard on $count processes takes and sends what was planned",
  async ({ shard, count }) => {
    const seen = await onRanks(count, shard);
    const { memory, shape } = planner.plan(count, { shard });
    expect(shape.rankBatches).toBe(rows / rowsPerPass / count);
    const fullest = Math.max(...seen.map(({ tensorBytes }) => tensorBytes));
    expect(memory.peak / fullest).toBeGreaterThan(0.9);
    expect(memory.peak / fullest).toBeLessThan(1.1);

    const trained = {
      ...{ parameters: trainedParameters(config, null, "bfloat16"), weights: blocksOf(config, "bfloat16") },
      isLora: false,
    };
    const { sums, rounds, late, updates, fetch, fetches } = stepMessages(
      trained,
      shard,
      count,
      shape.rankBatches,
    );
    const bytes = (some: readonly { bytes: number }[]) => some.reduce((sum, one) => sum + one.bytes, 0);
    for (const { sent } of seen) {
      expect(sent).toEqual({
        messages: rounds * sums.length + fetches * fetch.length + late.length + updates.length,
        bytes: rounds * bytes(sums) + fetches * bytes(fetch) + bytes(late) + bytes(updates),
      });
    }
  },
);
