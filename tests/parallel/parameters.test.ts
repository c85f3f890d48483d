/** A model in parts, looked at from inside: the gradients of one process, the same bits on every rank, and the memory of a part. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@camelid/torch";
import { initModel, parseConfig, saveModel } from "camelid";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "./free-port.js";

const root = mkdtempSync(join(tmpdir(), "camelid-parameters-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const [HIDDEN, INNER, LAYERS, WORDS] = [256, 512, 8, 64];
/** Bytes of a block's projections, and of what every rank has. */
const BLOCK = 4 * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER);
const WHOLE = 4 * (2 * WORDS * HIDDEN + (2 * LAYERS + 1) * HIDDEN);

beforeAll(() => {
  torch.setNumThreads(1);
  torch.manualSeed(7);
  const config = parseConfig({
    ...{ model_type: "llama", vocab_size: WORDS, hidden_size: HIDDEN, intermediate_size: INNER },
    ...{ num_hidden_layers: LAYERS, num_attention_heads: 4, max_position_embeddings: 64 },
    torch_dtype: "float32",
  });
  using model = initModel(config);
  saveModel(model, root);
});

interface Seen {
  loaded: number;
  loadPeak: number;
  steps: { norm: number; peak: number; end: number; moments: Record<string, number[]> }[];
  /** sha256 of all weights, each gathered from its owner. */
  weights: string;
  error?: string;
}

async function onRanks(size: number, checkpointing: boolean | "apart"): Promise<Seen[]> {
  const port = await freePort();
  const probe = fileURLToPath(new URL("./model-probe.mjs", import.meta.url));
  const one = (rank: number): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, RANK: `${rank}`, WORLD_SIZE: `${size}`, LOCAL_WORLD_SIZE: `${size}` };
      const child = spawn(process.execPath, [probe, root, String(checkpointing)], {
        env: { ...env, MASTER_ADDR: "127.0.0.1", MASTER_PORT: `${port}`, CAMELID_RANK_PATIENCE: "10" },
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
  return Promise.all(Array.from({ length: size }, (_, rank) => one(rank)));
}

let alone: Seen;
beforeAll(async () => {
  [alone] = (await onRanks(1, false)) as [Seen];
});

test.each([
  [2, true],
  [4, false],
])(
  "%i ranks have one process's gradients, and a part of its memory (checkpointing %s)",
  async (size, checkpointing) => {
    const ranks = await onRanks(size, checkpointing);

    alone.steps.forEach(({ norm, moments }, step) => {
      for (const rank of ranks) expect(Math.abs(rank.steps[step]!.norm - norm)).toBeLessThan(1e-6 * norm);
      // Every weight has its moments on one rank.
      const names = ranks.flatMap((rank) => Object.keys(rank.steps[step]!.moments));
      expect(names.sort()).toEqual(Object.keys(moments).sort());
      for (const [name, values] of ranks.flatMap((rank) => Object.entries(rank.steps[step]!.moments))) {
        const [length] = moments[name]!;
        for (const [i, value] of values.entries())
          expect(Math.abs(value - moments[name]![i]!), name).toBeLessThan(
            step === 0 ? 1e-6 * length! : 1e-5 * length!,
          );
      }
    });
    expect(new Set(ranks.map(({ weights }) => weights)).size).toBe(1);

    const model = LAYERS * BLOCK;
    // Weights, then with them the moments of the own part; norms and the like make up for the rest.
    const slack = 0.1 * BLOCK + 3 * WHOLE;
    expect(alone.loaded).toBeGreaterThan(model);
    expect(alone.steps[1]!.end).toBeGreaterThan(3 * model);
    for (const { loaded, loadPeak, steps } of ranks) {
      expect(loaded).toBeLessThan(model / size + slack);
      expect(loadPeak).toBeLessThan(model / size + BLOCK + slack);
      expect(steps[1]!.end).toBeLessThan((3 * model) / size + slack);
      // Beside its part two blocks, the gradients of two, and what eight tokens take.
      expect(steps[1]!.peak).toBeLessThan((4 * model) / size + 4 * BLOCK + slack + 0.5 * BLOCK);
    }
  },
);

test("ranks that begin different things say so, and do not wait for each other", async () => {
  const [first, second] = await onRanks(2, "apart");
  expect(first!.error).toMatch(/ERR_RANKS_OUT_OF_STEP: this rank begins a forward pass/);
  expect(second!.error).toMatch(/ERR_RANKS_OUT_OF_STEP: this rank begins reading a weight/);
});
