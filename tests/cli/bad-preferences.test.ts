/** What preference training refuses, in each of its recipes: settings that could not be honoured, and rows that say nothing. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addLora, loadRewardModel, saveAdapter } from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";

const root = mkdtempSync(join(tmpdir(), "camelid-bad-preferences-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"));
});

const say = (role: string, content: string) => ({ role, content });
const good = Array.from({ length: 8 }, (_, i) => ({
  ...{ prompt: `camel ${i}?`, chosen: `water ${i}.`, rejected: "grass cloud." },
}));
let runs = 0;
async function train(recipe: string, rows: readonly object[], ...flags: string[]) {
  const [data, out] = [join(root, `rows-${runs}.jsonl`), join(root, `run-${runs++}`)];
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const words = [
    "--model",
    tiny.model,
    "--data",
    data,
    "--out",
    out,
    "--threads",
    "1",
    "--micro-batch-size",
    "4",
  ];
  const quiet = recipe === "reward" ? [] : ["--answer-prompts", "none"];
  return { folder: out, ...(await camelid(recipe, ...words, ...quiet, ...flags)) };
}

describe.each(["sft", "dpo", "kto", "reward"])("camelid %s refuses", (recipe) => {
  test.each([
    ["rank 0", ["--lora-rank", "0"], /lora\.rank: expected a whole number above 0, got "?0/],
    ["alpha 0", ["--lora-alpha", "0"], /lora\.alpha: expected a number above 0, got "?0/],
    [
      "a dropout of everything",
      ["--lora-dropout", "1"],
      /lora\.dropout: expected a number from 0 to below 1/,
    ],
  ])("%s", async (_name, flags, says) => {
    const words = ["--model", tiny.model, "--data", tiny.data, "--out", join(root, "none")];
    expectOneClearError(await camelid(recipe, ...words, ...flags), { code: "ERR_INVALID_VALUE", says });
    expect(existsSync(join(root, "none"))).toBe(false);
  });

  test.each([
    [
      "a projection that the model lacks",
      ["--lora-target-modules", "q_proj,c_attn"],
      "ERR_LORA_TARGETS",
      /called c_attn/,
    ],
    [
      "4 bits without adapters",
      ["--quantize-type", "nf4"],
      "ERR_QUANTIZE_NEEDS_LORA",
      /only adapters on them/,
    ],
  ])("%s, before rows are read", async (_name, flags, code, says) => {
    const words = ["--model", tiny.model, "--data", join(root, "no-such-file"), "--out", join(root, "none")];
    expectOneClearError(await camelid(recipe, ...words, ...flags), { code, says });
    expect(existsSync(join(root, "none"))).toBe(false);
  });
});

test.each([
  ["sft", false, /camelid export --model .* --to merged/],
  ["reward", true, /`mergeAdapters`/],
])("camelid %s refuses to start from an adapter, and says how to", async (recipe, isReward, fix) => {
  const folder = join(root, `adapter-of-${recipe}`);
  using model = loadRewardModel(tiny.model);
  const lora = addLora(model.decoder, { rank: 2, alpha: 4, dropout: 0, targetModules: ["q_proj"] });
  saveAdapter(lora, folder, { model: tiny.model }, isReward ? model.score : undefined);
  const words = ["--model", folder, "--data", tiny.data, "--out", join(root, "none")];
  const run = await camelid(recipe, ...words);
  expectOneClearError(run, { code: "ERR_ADAPTER_AS_MODEL", says: /this is an adapter/, where: /adapter-of/ });
  expect(run.err.replaceAll(/\s+/g, " ")).toMatch(fix);
});

const whole = `${"water ".repeat(60)}`;
const bad: [string, object, string[], string, RegExp][] = [
  [
    "identical sides",
    { ...good[0]!, chosen: "same", rejected: " same " },
    [],
    "ERR_PAIR_IDENTICAL",
    /are the same/,
  ],
  ["an empty answer", { ...good[0]!, chosen: "  " }, [], "ERR_PAIR_EMPTY", /no answer/],
  [
    "different prompts",
    {
      chosen: [say("user", "a"), say("assistant", "x")],
      rejected: [say("user", "b"), say("assistant", "y")],
    },
    [],
    "ERR_PAIR_PROMPT",
    /differ before their last answer/,
  ],
];
const ofRecipe: Record<string, typeof bad> = {
  kto: [
    [
      "an empty judged answer",
      { prompt: "camel?", completion: " ", label: true },
      [],
      "ERR_ANSWER_EMPTY",
      /is empty/,
    ],
    [
      "an answer that is cut away",
      { ...good[0]!, prompt: whole },
      ["--max-seq-len", "48"],
      "ERR_ANSWER_CUT",
      /nothing of the answer is left/,
    ],
  ],
  reward: [
    [
      "a side that is cut away",
      { ...good[0]!, prompt: whole },
      ["--max-seq-len", "48"],
      "ERR_PAIR_CUT",
      /longer than 48 tokens/,
    ],
    [
      "a chosen answer longer than the limit",
      { ...good[0]!, chosen: whole },
      ["--max-seq-len", "48"],
      "ERR_PAIR_CUT",
      /longer than 48 tokens/,
    ],
  ],
};

describe.each(["kto", "reward"])("camelid %s stops at, or leaves out,", (recipe) => {
  test.each([...bad, ...ofRecipe[recipe]!])("%s", async (_name, row, flags, code, says) => {
    const run = await train(recipe, [...good, row], ...flags);
    expectOneClearError(run, { code, says, where: /line 9/ });
    expect(existsSync(run.folder)).toBe(false);
    const skipped = await train(recipe, [...good, row], ...flags, "--on-bad", "skip");
    expect(skipped.code, skipped.err).toBe(0);
    expect(readFileSync(join(skipped.folder, "left-out.txt"), "utf8")).toContain("line 9");
  });
});

test("KTO tells of a liked answer that loses its end", async () => {
  const run = await train("kto", [...good, { ...good[0]!, chosen: whole }], "--max-seq-len", "48");
  expect(run.code, run.err).toBe(0);
  expect(run.err.replaceAll(/\s+/g, " ")).toMatch(
    /1 desirable answers? loses? (its|their) end: [^ ]+ line 9/,
  );
});

describe("camelid dpo refuses what a loss has no place for:", () => {
  test.each([
    ["smoothed labels of ipo", ["--loss-type", "ipo", "--label-smoothing", "0.1"], /target for the margin/],
    ["a target margin of dpo", ["--target-margin", "2"], /dpo compares with a reference/],
    [
      "a reference of simpo",
      ["--loss-type", "simpo", "--reference", "adapters-off", "--lora-rank", "4"],
      /no reference/,
    ],
  ])("%s", async (_name, flags, says) => {
    const run = await train("dpo", good, ...flags);
    expectOneClearError(run, { code: "ERR_LOSS_SETTING", says });
    expect(existsSync(run.folder)).toBe(false);
  });
});

test.each([
  ["sft", ["--sample-every-steps", "2"], "ERR_NOTHING_TO_LOOK_AT", /sampleEverySteps is given/],
  ["sft", ["--eval-every-steps", "2"], "ERR_HELD_OUT", /no rows to measure/],
  [
    "dpo",
    ["--sample-every-steps", "2", "--answer-prompts", "none"],
    "ERR_NOTHING_TO_LOOK_AT",
    /sampleEverySteps/,
  ],
  ["kto", ["--eval-tasks-every-steps", "2"], "ERR_NOTHING_TO_LOOK_AT", /evalTasksEverySteps/],
])("camelid %s %o: looks at nothing are refused", async (recipe, flags, code, says) => {
  const words = ["--model", tiny.model, "--data", tiny.data, "--out", join(root, "none")];
  expectOneClearError(await camelid(recipe, ...words, ...flags), { code, says });
  expect(existsSync(join(root, "none"))).toBe(false);
});
