/** Preference training on several processes: the numbers of one process, and dropout that goes on where it stopped. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Message, readLineage, readRun } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtCamelid } from "../cli/camelid.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { cutAfterStep, weightDistance } from "./run-folders.js";

const root = mkdtempSync(join(tmpdir(), "camelid-dpo-ranks-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let pairs: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 30 });
  pairs = join(root, "pairs.jsonl");
  const lines = readFileSync(tiny.data, "utf8")
    .trim()
    .split("\n")
    .map((line, i) => {
      const { messages } = JSON.parse(line) as { messages: Message[] };
      const answer = (content: string) => [...messages.slice(0, -1), { role: "assistant", content }];
      const chosen = answer(`camel ${i}${" hill".repeat(i % 7)}.`);
      return JSON.stringify({ dataset: "hills", id: i, chosen, rejected: answer("water water grass.") });
    });
  writeFileSync(pairs, `${lines.join("\n")}\n`);
});

/** 6 steps of 4 pairs, in fp32. */
async function trained(name: string, ...more: string[]) {
  const out = join(root, name);
  const { code, err } = await builtCamelid(
    ...["dpo", "--model", tiny.model, "--data", pairs, "--out", out, "--threads", "1", "--max-steps", "6"],
    ...["--micro-batch-size", "2", "--grad-accum-steps", "2", "--learning-rate", "1e-3", "--beta", "1"],
    ...["--answer-prompts", "2", "--max-new-tokens", "4", "--held-out-rows", "5"],
    ...more,
  );
  expect(code, err).toBe(0);
  const { steps, evals } = await readRun(out);
  return { out, err, steps, evals };
}

describe("the same preferences on any number of processes", () => {
  const methods: Record<string, string[]> = {
    "every weight": [],
    "adapters, and the base as reference": ["--lora-rank", "4", "--reference", "adapters-off"],
  };
  test.each(Object.keys(methods))("%s", async (name: string) => {
    const flags = methods[name]!;
    process.env.CAMELID_CACHE = join(root, `cache ${name}`);
    const alone = await trained(`${name} 1`, ...flags);
    expect(alone.steps.at(-1)!.loss).not.toBeCloseTo(Math.LN2, 1);
    for (const [count, ...parts] of [["2"], ["4", "--shard", "parameters"]] as const) {
      // A cache of its own: the ranks compute the reference, each a part.
      process.env.CAMELID_CACHE = join(root, `cache ${name} ${count}`);
      const together = await trained(`${name} ${count}`, "--nproc", count, ...flags, ...parts);
      expect(together.steps).toHaveLength(6);
      alone.steps.forEach((step, i) => {
        const other = together.steps[i]!;
        expect(Math.abs(other.loss - step.loss)).toBeLessThan(1e-6);
        expect(Math.abs(other.grad_norm - step.grad_norm)).toBeLessThan(2e-5 * step.grad_norm);
        expect(other.trained_tokens).toBe(step.trained_tokens);
        for (const key of ["rewards/margins", "rewards/accuracies", "logps/chosen", "lengths/chosen"])
          expect(other.metrics![key], key).toBeCloseTo(step.metrics![key]!, 4);
      });
      const [before, after] = [alone, together].map(({ evals }) =>
        evals.filter((one) => one.name === "pairs"),
      );
      expect(before).toHaveLength(2);
      expect(after!.map(({ metrics }) => Object.keys(metrics!))).toEqual(
        before!.map(({ metrics }) => Object.keys(metrics!)),
      );
      before!.forEach((one, i) => {
        expect(Math.abs(one.loss! - after![i]!.loss!)).toBeLessThan(2e-6);
      });
      const rows = async (run: string) => [...(await readLineage(join(run, "lineage"))).rowsOfStep];
      expect(await rows(together.out)).toEqual(await rows(alone.out));
      expect(weightDistance(together.out, alone.out)).toBeLessThan(1e-5);
    }
  });
});

test("with dropout, a run of two processes goes on bit for bit as it would have", async () => {
  const flags = ["--nproc", "2", "--lora-rank", "4", "--lora-dropout", "0.3", "--save-every-steps", "3"];
  const whole = await trained("dropout", ...flags);
  const stopped = await trained("dropout stopped", ...flags);
  cutAfterStep(stopped.out, 3);
  const { code, err } = await builtCamelid("dpo", "--resume", "--out", stopped.out, "--nproc", "2");
  expect(code, err).toBe(0);
  expect(err).toMatch(/continues after step 3/);
  const { steps } = await readRun(stopped.out);
  expect(steps.map(({ loss }) => loss)).toEqual(whole.steps.map(({ loss }) => loss));
  expect(weightDistance(stopped.out, whole.out)).toBe(0);
});
