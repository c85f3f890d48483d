/** KTO and reward models on two processes: the numbers of one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Message, readRun } from "camelid";
import { afterAll, beforeAll, expect, test } from "vitest";
import { builtCamelid } from "../cli/camelid.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { weightDistance } from "./run-folders.js";

const root = mkdtempSync(join(tmpdir(), "camelid-judges-ranks-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let pairs: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 30 });
  pairs = join(root, "pairs.jsonl");
  const rows = readFileSync(tiny.data, "utf8").trim().split("\n");
  const lines = rows.map((line, i) => {
    const { messages } = JSON.parse(line) as { messages: Message[] };
    const answer = (content: string) => [...messages.slice(0, -1), { role: "assistant", content }];
    const chosen = answer(`camel ${i}${" hill".repeat(i % 7)}.`);
    return JSON.stringify({ id: i, chosen, rejected: answer("water water grass.") });
  });
  writeFileSync(pairs, `${lines.join("\n")}\n`);
});

/** 4 steps of 8 rows, in fp32, with a cache of its own: the ranks compute the reference, each a part. */
async function trained(recipe: string, name: string, ...more: string[]) {
  process.env.CAMELID_CACHE = join(root, `cache ${name}`);
  const out = join(root, name);
  const { code, err } = await builtCamelid(
    ...[recipe, "--model", tiny.model, "--data", pairs, "--out", out, "--threads", "1", "--max-steps", "4"],
    ...[
      "--micro-batch-size",
      "2",
      "--grad-accum-steps",
      "4",
      "--learning-rate",
      "3e-3",
      "--held-out-rows",
      "5",
    ],
    ...more,
  );
  expect(code, err).toBe(0);
  const { steps, evals } = await readRun(out);
  return { out, steps, evals: evals.filter(({ metrics }) => metrics !== undefined) };
}

test.each([
  ["kto", "kl", ["--answer-prompts", "none", "--beta", "0.5"]],
  ["reward", "margin", ["--center-rewards", "0.01"]],
  ["reward", "margin", ["--lora-rank", "4", "--lora-alpha", "64"]],
])("%s, %s, %o", async (recipe, moves, flags) => {
  const alone = await trained(recipe, `${recipe} ${flags.length} 1`, ...flags);
  const inParts = ["--nproc", "2", "--shard", "parameters"];
  const together = await trained(recipe, `${recipe} ${flags.length} 2`, ...inParts, ...flags);
  expect(together.steps).toHaveLength(4);
  expect(alone.steps.some(({ metrics }) => Math.abs(metrics![moves]!) > 0.001)).toBe(true);
  alone.steps.forEach((step, i) => {
    const other = together.steps[i]!;
    expect(Math.abs(other.loss - step.loss)).toBeLessThan(2e-6);
    expect(Math.abs(other.grad_norm - step.grad_norm)).toBeLessThan(2e-5 * step.grad_norm);
    // A step that has no row of a kind leaves its figures out, on every rank.
    expect(Object.keys(other.metrics!)).toEqual(Object.keys(step.metrics!));
    for (const [key, value] of Object.entries(step.metrics!))
      if (!key.endsWith("_per_second")) expect(other.metrics![key], key).toBeCloseTo(value, 4);
  });
  expect(alone.evals).toHaveLength(2);
  alone.evals.forEach((one, i) => {
    expect(Math.abs(one.loss! - together.evals[i]!.loss!)).toBeLessThan(5e-6);
  });
  expect(weightDistance(together.out, alone.out)).toBeLessThan(1e-5);
});
