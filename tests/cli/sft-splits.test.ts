/** What must not change the result of a run: how a step is cut into micro-batches, and whether rows are packed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { readRun } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import "../close.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-splits-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 40 });
});

interface Result {
  losses: number[];
  gradNorms: number[];
  /** The bytes of the final weights. */
  bytes: Buffer;
  path: string;
}

async function train(name: string, ...words: string[]): Promise<Result> {
  const out = join(root, name);
  const places = ["--model", tiny.model, "--data", tiny.data, "--out", out];
  // Rates large enough that eight steps move the weights by far more than the tolerance below.
  const settings = ["--threads", "1", "--max-steps", "8", "--learning-rate", "2e-3", "--weight-decay", "0.1"];
  const run = await camelid("sft", ...places, ...settings, ...words);
  expect(run.code, run.err).toBe(0);
  const { steps } = await readRun(out);
  const path = join(out, "final", "model.safetensors");
  return {
    losses: steps.map(({ loss }) => loss),
    gradNorms: steps.map((step) => step.grad_norm),
    bytes: readFileSync(path),
    path,
  };
}

const split = (microBatchSize: number, gradAccumSteps: number, packing: boolean) => [
  ...["--micro-batch-size", `${microBatchSize}`, "--grad-accum-steps", `${gradAccumSteps}`],
  ...["--packing", `${packing}`],
];

/** Adam divides by the root of a mean square: weights with tiny gradients magnify rounding, up to the learning rate. */
const WEIGHTS = { atol: 1e-4, rtol: 0 };
const LOSSES = { atol: 0, rtol: 1e-5 };

describe("one step's rows", () => {
  let whole: Result;
  beforeAll(async () => {
    whole = await train("8x1", ...split(8, 1, false));
  });

  test.each([
    ["2 micro-batches of 4", split(4, 2, false)],
    ["4 micro-batches of 2", split(2, 4, false)],
    ["8 micro-batches of 1", split(1, 8, false)],
    ["packed end to end", split(8, 1, true)],
    ["packed into batches of at most 96 tokens", [...split(1, 8, true), "--max-seq-len", "96"]],
  ])("%s give the same losses, gradient norms and weights as 1 of 8", async (name, words) => {
    const result = await train(name, ...words);
    expect(result.losses).toBeAllClose(whole.losses, LOSSES);
    expect(result.gradNorms).toBeAllClose(whole.gradNorms, { atol: 0, rtol: 1e-4 });
    expect(weights(result.path)).toBeAllClose(weights(whole.path), WEIGHTS);
  });

  test("the mean of micro-batch means, as the original code has it, does depend on the split", async () => {
    const reduction = ["--loss-reduction", "microbatch-mean"];
    const [one, eight] = [
      await train("means-8x1", ...split(8, 1, false), ...reduction),
      await train("means-1x8", ...split(1, 8, false), ...reduction),
    ];
    expect(one.losses).toBeAllClose(whole.losses, LOSSES);
    expect(weights(eight.path)).not.toBeAllClose(weights(whole.path), WEIGHTS);
  });

  test("weights moved far beyond the tolerance of these comparisons", () => {
    expect(weights(whole.path)).not.toBeAllClose(weights(join(tiny.model, "model.safetensors")), {
      atol: 50 * WEIGHTS.atol,
      rtol: 0,
    });
  });
});

describe("the seed", () => {
  test.each(["fp32", "bf16", "bf16-mixed"])(
    "the same one gives the same bytes twice in %s, another one others",
    async (precision) => {
      const words = [...split(4, 2, true), "--precision", precision];
      const first = await train(`${precision}-first`, ...words, "--seed", "0");
      const second = await train(`${precision}-second`, ...words, "--seed", "0");
      expect(second.losses).toEqual(first.losses);
      expect(second.bytes.equals(first.bytes)).toBe(true);
      const other = await train(`${precision}-other`, ...words, "--seed", "1");
      expect(other.losses).not.toEqual(first.losses);
      expect(other.bytes.equals(first.bytes)).toBe(false);
    },
  );

  test("rows are drawn by number: other contents in the same places meet at the same steps", async () => {
    const upper = join(root, "upper.jsonl");
    writeFileSync(upper, readFileSync(tiny.data, "utf8").replaceAll("alpaca", "llama"));
    await train("original", ...split(8, 1, true));
    await train("changed", ...split(8, 1, true), "--data", upper);
    const rows = (run: string) =>
      readFileSync(join(root, run, "lineage"), "utf8")
        .split("\n")
        .filter((line) => !line.startsWith("#"));
    expect(rows("changed")).toEqual(rows("original"));
  });
});

/** All weights of a file, one after the other, in the order of their names. */
function weights(path: string): number[] {
  using _ = torch.tensorScope();
  const { tensors } = torch.readSafetensors(path, { copy: true });
  return [...tensors]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, tensor]) => tensor.flatten().toArray() as number[]);
}
