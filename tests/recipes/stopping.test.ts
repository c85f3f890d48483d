/** A request to stop, in every recipe: heard wherever it comes, and nothing is trained after it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listCheckpoints, type Message, type RecipeContext, readRun } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as dpo from "../../recipes/dpo.js";
import * as kto from "../../recipes/kto.js";
import * as reward from "../../recipes/reward.js";
import * as sft from "../../recipes/sft.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-stopping-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let pairs: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 24 });
  pairs = join(root, "pairs.jsonl");
  const lines = readFileSync(tiny.data, "utf8").trim().split("\n");
  const rows = lines.map((line, id) => {
    const prompt = (JSON.parse(line) as { messages: Message[] }).messages.slice(0, -1);
    const answer = (content: string) => [...prompt, { role: "assistant", content }];
    return JSON.stringify({ id, chosen: answer(`camel ${id}.`), rejected: answer("water grass.") });
  });
  writeFileSync(pairs, `${rows.join("\n")}\n`);
});

const recipes = { sft, dpo, kto, reward };
type Name = keyof typeof recipes;

/** Six steps; `asked` says, of the run's folder, whether somebody has asked to stop. */
async function train(name: Name, asked: (out: string) => boolean, changes: object = {}, resume = false) {
  const out = "out" in changes ? String(changes.out) : join(mkdtempSync(join(root, "run-")), "run");
  const chosen = {
    ...{ model: tiny.model, data: name === "sft" ? tiny.data : pairs, out, threads: 1, preflight: false },
    ...{ microBatchSize: 2, gradAccumSteps: 1, maxSteps: 6, learningRate: 1e-3 },
    ...(name === "sft" || name === "reward" ? {} : { answerPrompts: null }),
    ...changes,
  };
  const signal = {
    get aborted() {
      return asked(out);
    },
  } as AbortSignal;
  const context: RecipeContext = { recipe: name, origins: {}, output: "silent", resume, signal };
  const recipe = recipes[name] as { settings: typeof sft.settings; run: typeof sft.run };
  const outcome = await recipe.run(recipe.settings.parse(chosen), context);
  return { out, outcome, record: await readRun(out) };
}

describe.each(Object.keys(recipes) as Name[])("%s", (name) => {
  test("asked while a checkpoint is written, stops at that step, with that one checkpoint", async () => {
    const changes = { saveEverySteps: 2, keepCheckpoints: null };
    const asked = (out: string) => existsSync(join(out, "checkpoints", "step-2"));
    const { out, outcome, record } = await train(name, asked, changes);
    expect(outcome).toBe("interrupted");
    expect(record.steps.map(({ step }) => step)).toEqual([1, 2]);
    const saved = record.events.filter(({ event }) => event === "checkpoint-saved");
    expect(saved.map((event) => ("path" in event ? event.path : ""))).toEqual(["checkpoints/step-2"]);
    expect(await listCheckpoints(out)).toHaveLength(1);
    expect(existsSync(join(out, "final"))).toBe(false);
  });

  test("asked in the middle of a step, ends it, saves it, and goes on from there", async () => {
    const asked = (out: string) =>
      existsSync(join(out, "events.jsonl")) &&
      readFileSync(join(out, "events.jsonl"), "utf8").includes('"step":3');
    const { out, outcome, record } = await train(name, asked);
    expect(outcome).toBe("interrupted");
    expect(record.steps).toHaveLength(3);
    const resumed = await train(name, () => false, { out }, true);
    expect(resumed.outcome).toBe("completed");
    expect(resumed.record.steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(existsSync(join(out, "final"))).toBe(true);
  });

  test("asked before its first step, trains nothing and leaves no result", async () => {
    const out = join(mkdtempSync(join(root, "run-")), "run");
    const early = train(name, () => true, { out });
    // Recipes that compute something before they open their run leave no folder at all.
    const record = await early.then(
      (run) => run.record,
      () => undefined,
    );
    expect(record?.steps ?? []).toEqual([]);
    expect(existsSync(join(out, "final"))).toBe(false);
  });
});
