/** The optimizer on two ranks, looked at from inside: equal bits, drift that is noticed, memory. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { freePort } from "./free-port.js";

const probe = fileURLToPath(new URL("./probe.mjs", import.meta.url));
const shards = ["none", "optimizer", "gradients"] as const;

interface Seen {
  norms: number[];
  weights: string[];
  /** In weights of one layer: most that a step's passes and update take, and what stays of the optimizer. */
  stepBytes: number;
  stateBytes: number;
  error?: string;
  /** Of the rank that leaves first or last: how long that took, and what it heard of the other. */
  leftAfterMs?: number;
  lost?: string;
}

async function onTwoRanks(task: string, shard: string): Promise<[Seen, Seen]> {
  const port = await freePort();
  const one = (rank: number): Promise<Seen> =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, RANK: `${rank}`, WORLD_SIZE: "2", LOCAL_WORLD_SIZE: "2" };
      const child = spawn(process.execPath, [probe, task, shard], {
        env: { ...env, MASTER_ADDR: "127.0.0.1", MASTER_PORT: `${port}`, CAMELID_RANK_PATIENCE: "4" },
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
  return Promise.all([one(0), one(1)]);
}

test.each(shards)("all ranks have the same bits after every step (shard %s)", async (shard) => {
  const [first, second] = await onTwoRanks("bits", shard);
  expect(first.error).toBeUndefined();
  expect(first.norms).toHaveLength(3);
  expect(new Set(first.weights).size).toBe(3);
  expect(second).toMatchObject({ norms: first.norms, weights: first.weights });
});

test("weights that differ in one bit stop the first step, by name", async () => {
  for (const { error, norms } of await onTwoRanks("drift", "none")) {
    expect(norms).toHaveLength(0);
    expect(error).toMatch(/ERR_RANKS_DIFFER|ERR_RANK_LOST/);
    expect(error).toMatch(/layer\.\d after its first update is not the same on every rank/);
  }
});

test("in parts, weights are those of their owner after an update", async () => {
  const [first, second] = await onTwoRanks("drift", "optimizer");
  expect(second.weights).toEqual(first.weights);
});

test("a pass more than the step was begun with is an error, and no wrong sum", async () => {
  for (const { error, norms } of await onTwoRanks("passes", "optimizer")) {
    expect(norms).toHaveLength(0);
    expect(error).toMatch(/ERR_PASSES|a backward pass came after gradients were sent/);
  }
});

test("in parts, a rank holds half of the optimizer's state, and about half of the gradients", async () => {
  const seen = [];
  for (const shard of shards) seen.push((await onTwoRanks("memory", shard))[1]);
  const [none, optimizer, gradients] = seen as [Seen, Seen, Seen];
  const layers = 40;
  expect(none.stateBytes / layers).toBeCloseTo(2, 2);
  expect(optimizer.stateBytes / layers).toBeCloseTo(1, 2);
  expect(gradients.stateBytes / layers).toBeCloseTo(1, 2);
  expect(none.stepBytes).toBeGreaterThan(layers);
  // Its half, and a few messages under way.
  expect(gradients.stepBytes).toBeLessThan(layers / 2 + 8);
});

test("rank 0, whose store all use, leaves last", async () => {
  const [first, second] = await onTwoRanks("leave", "none");
  expect(second.lost).toBeUndefined();
  expect(first.leftAfterMs).toBeGreaterThan(1000);
});
