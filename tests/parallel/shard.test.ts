/** Optimizer state, gradients and weights in parts on several processes: the numbers and checkpoints of one process, less memory each. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { loadModel, readRun, saveModel } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtCamelid } from "../cli/camelid.js";
import { writeSampleData } from "../eval/sample-data.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { cutAfterStep, weightDistance } from "./run-folders.js";

const root = mkdtempSync(join(tmpdir(), "camelid-shard-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 30 });
});

/** 6 steps of 5 rows, each row a pass of its own: ranks do different numbers of passes. In fp32. */
async function trained(name: string, ...more: string[]) {
  const out = join(root, name);
  const { code, err } = await builtCamelid(
    ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", out, "--threads", "1"],
    ...["--micro-batch-size", "1", "--grad-accum-steps", "5", "--packing", "false"],
    ...["--learning-rate", "1e-2", "--max-steps", "6", "--save-every-steps", "3", "--weight-decay", "0.1"],
    ...more,
  );
  expect(code, err).toBe(0);
  return { out, steps: (await readRun(out)).steps };
}

type Trained = Awaited<ReturnType<typeof trained>>;

function expectSameSteps(one: Trained["steps"], other: Trained["steps"]): void {
  expect(other).toHaveLength(one.length);
  one.forEach((step, i) => {
    expect(Math.abs(other[i]!.loss - step.loss)).toBeLessThan(1e-6 * step.loss);
    expect(Math.abs(other[i]!.grad_norm - step.grad_norm)).toBeLessThan(2e-5 * step.grad_norm);
  });
}

/** Every tensor of a checkpoint's optimizer state, the same names. */
function stateDistance(run: string, other: string): number {
  using _ = torch.tensorScope();
  const read = (folder: string) =>
    torch.readSafetensors(join(folder, "checkpoints", "step-6", "optimizer.safetensors")).tensors;
  const [here, there] = [read(run), read(other)];
  expect([...here.keys()]).toEqual([...there.keys()]);
  return Math.max(...[...here].map(([name, one]) => one.sub(there.get(name)!).abs().amax().item()));
}

describe("the same training, its state in parts", () => {
  const methods: Record<string, string[]> = {
    "every weight": [],
    adapters: ["--lora-rank", "4"],
  };
  test.each(Object.keys(methods))("%s", async (name: string) => {
    const flags = methods[name]!;
    const alone = await trained(`${name} 1`, ...flags);
    for (const [shard, count] of [
      ["optimizer", "2"],
      ["gradients", "4"],
      ["parameters", "2"],
      ["parameters", "4"],
    ] as const) {
      const together = await trained(
        `${name} ${shard} ${count}`,
        ...flags,
        "--nproc",
        count,
        "--shard",
        shard,
        ...(count === "2" ? ["--activation-checkpointing"] : []),
      );
      expectSameSteps(alone.steps, together.steps);
      expect(weightDistance(together.out, alone.out)).toBeLessThan(1e-5);
      const folders = (run: string) => readdirSync(join(run, "checkpoints", "step-6"));
      expect(folders(together.out)).toEqual(folders(alone.out));
      expect(stateDistance(together.out, alone.out)).toBeLessThan(1e-5);
    }
  });

  test.each(["quantised as it is read", "stored in 4 bits"])("adapters on a base %s", async (base) => {
    let model = tiny.model;
    if (base === "stored in 4 bits") {
      model = join(root, "tiny-nf4");
      using stored = loadModel(tiny.model, { quantize: { doubleQuant: true, throughFp16: false } });
      saveModel(stored, model, { tokenizer: tiny.model });
    }
    const flags = ["--model", model, "--lora-rank", "4"];
    if (model === tiny.model) flags.push("--quantize-type", "nf4");
    const alone = await trained(`nf4 ${base} 1`, ...flags);
    const together = await trained(`nf4 ${base} 2`, ...flags, "--nproc", "2", "--shard", "parameters");
    expectSameSteps(alone.steps, together.steps);
    expect(weightDistance(together.out, alone.out)).toBeLessThan(1e-5);
  });

  test("masters in fp32 and moments in 8 bits are in parts too", async () => {
    const flags = ["--precision", "bf16-mixed", "--optimizer", "adamw-8bit", "--learning-rate", "1e-3"];
    const whole = await trained("mixed 2", ...flags, "--nproc", "2");
    const parts = await trained("mixed shard 2", ...flags, "--nproc", "2", "--shard", "parameters");
    // On the same ranks the same passes: only sums of the gradients go another way.
    parts.steps.forEach(({ loss }, i) => {
      expect(Math.abs(loss - whole.steps[i]!.loss)).toBeLessThan(2e-3 * loss);
    });
    using _ = torch.tensorScope();
    const file = join(parts.out, "checkpoints", "step-6", "optimizer.safetensors");
    const names = [...torch.readSafetensors(file).tensors.keys()];
    expect(names.some((name) => name.startsWith("master."))).toBe(true);
    expect(names.some((name) => name.startsWith("exp_avg_scales."))).toBe(true);
  });
});

test("between steps a model in parts says and scores what it does whole", async () => {
  const prompts = join(root, "prompts.jsonl");
  writeFileSync(prompts, `${JSON.stringify({ prompt: "alpaca llama?" })}\n`);
  const flags = [
    ...["--max-steps", "2", "--held-out-rows", "5", "--sample-prompts", prompts, "--max-new-tokens", "4"],
    ...["--eval-tasks", "mmlu", "--eval-tasks-data", writeSampleData(join(root, "eval-data"))],
    ...["--eval-tasks-limit", "2", "--eval-tasks-shots", "0"],
  ];
  const seen = async ({ out }: Trained) => {
    const { evals, samples } = await readRun(out);
    const numbers = evals.map(({ name, step, loss, metrics }) => [name, step, loss, metrics?.score]);
    return { numbers, samples: samples.map(({ step, text }) => [step, text]) };
  };
  const alone = await seen(await trained("watched 1", ...flags));
  const together = await seen(await trained("watched 2", ...flags, "--nproc", "2", "--shard", "parameters"));
  expect(alone.numbers.map(([name]) => name).sort()).toEqual(["held-out", "held-out", "mmlu"]);
  expect(together.samples).toEqual(alone.samples);
  expect(together.samples).toHaveLength(2);
  together.numbers.forEach(([name, step, loss, score], i) => {
    expect([name, step, score]).toEqual([alone.numbers[i]![0], alone.numbers[i]![1], alone.numbers[i]![3]]);
    if (loss !== undefined) expect(Math.abs(Number(loss) - Number(alone.numbers[i]![2]))).toBeLessThan(1e-5);
  });
});

test("a run goes on with other parts, on another number of processes", async () => {
  const whole = join(root, "every weight 1");
  const { out } = await trained("moved", "--nproc", "4", "--shard", "parameters");
  cutAfterStep(out, 3);
  const onTwo = await builtCamelid(
    ...["sft", "--resume", "--out", out, "--nproc", "2", "--shard", "optimizer"],
  );
  expect(onTwo.code, onTwo.err).toBe(0);
  expect(onTwo.err).toMatch(/processes: 4 -> 2/);
  expectSameSteps((await readRun(whole)).steps, (await readRun(out)).steps);
  cutAfterStep(out, 3);
  const inParts = await builtCamelid(
    ...["sft", "--resume", "--out", out, "--nproc", "2", "--shard", "parameters"],
  );
  expect(inParts.code, inParts.err).toBe(0);
  expectSameSteps((await readRun(whole)).steps, (await readRun(out)).steps);
  cutAfterStep(out, 3);
  const alone = await builtCamelid("sft", "--resume", "--out", out, "--shard", "none");
  expect(alone.code, alone.err).toBe(0);
  expectSameSteps((await readRun(whole)).steps, (await readRun(out)).steps);
  expect(weightDistance(out, whole)).toBeLessThan(1e-5);
});
