/** `camelid score` as people meet it: what it writes, sums up and refuses. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  addLora,
  loadRewardModel,
  loadTokenizer,
  readCompanions,
  readPairRows,
  saveAdapter,
  saveRewardModel,
  scorePairs,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError } from "./camelid.js";
import "../close.js";

const root = mkdtempSync(join(tmpdir(), "camelid-score-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
let judge: string;
let adapter: string;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
  torch.manualSeed(7);
  using model = loadRewardModel(tiny.model);
  const tokenizer = readCompanions(tiny.model);
  [judge, adapter] = [join(root, "judge"), join(root, "adapter")];
  saveRewardModel(model, judge, { tokenizer, padTokenId: undefined });
  const lora = addLora(model.decoder, { rank: 2, alpha: 4, dropout: 0, targetModules: ["q_proj"] });
  saveAdapter(lora, adapter, { model: tiny.model }, model.score);
  for (const [name, bytes] of tokenizer) writeFileSync(join(adapter, name), bytes);
});

const pairs = Array.from({ length: 12 }, (_, i) => ({
  ...{ id: `p${i}`, prompt: `camel ${i}?`, chosen: `water ${i}.`, rejected: `grass cloud ${i}.` },
  ...{ subset: i % 3 === 0 ? "alpacaeval-easy" : "refusals-dangerous" },
}));
const answers = pairs.map(({ id, prompt, chosen }) => ({
  id,
  messages: [
    { role: "user", content: prompt },
    { role: "assistant", content: chosen },
  ],
}));

let runs = 0;
async function score(rows: readonly object[], ...flags: string[]) {
  const [data, out] = [join(root, `rows-${runs}.jsonl`), join(root, `scores-${runs++}.jsonl`)];
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const words = ["--data", data, "--out", out, "--threads", "1", ...flags];
  if (!flags.includes("--model")) words.push("--model", judge);
  const run = await camelid("score", ...words);
  const lines = (): Record<string, unknown>[] =>
    readFileSync(out, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  return { ...run, data, out, lines };
}

describe("pairs", () => {
  test("get both scores, the margin and the verdict, a line each, in order", async () => {
    const run = await score(pairs);
    expect(run.code, run.err).toBe(0);
    using model = loadRewardModel(judge);
    const { pairs: rows } = await readPairRows(run.data, await loadTokenizer(judge), { onBad: "error" });
    const plan = { microBatchSize: 1, maxSeqLen: 128, packing: false, sharePrompts: false };
    const expected = await scorePairs(model, rows, plan);
    run.lines().forEach((line, i) => {
      const { chosen, rejected } = expected[i]!;
      expect(line).toMatchObject({ id: `p${i}`, dataset: expect.any(String), subset: pairs[i]!.subset });
      expect(line.chosen).toBeAllClose(chosen, { atol: 1e-5, rtol: 1e-5 });
      expect(line.rejected).toBeAllClose(rejected, { atol: 1e-5, rtol: 1e-5 });
      expect(line.margin).toBe(Number(line.chosen) - Number(line.rejected));
      expect(line.correct).toBe(Number(line.chosen) > Number(line.rejected));
    });
    expect(run.lines()).toHaveLength(12);
  });

  test("are summed up over all and by subset", async () => {
    const run = await score(pairs);
    const right = (name?: string) => {
      const some = run.lines().filter(({ subset }) => name === undefined || subset === name);
      return `${((100 * some.filter(({ correct }) => correct).length) / some.length).toFixed(1)} %`;
    };
    expect(run.err).toMatch(/^subset +pairs +right +95 % +margin$/m);
    for (const [name, count] of [
      ["alpacaeval-easy", 4],
      ["refusals-dangerous", 8],
    ] as const)
      expect(run.err.replaceAll(/ +/g, " ")).toContain(`${name} ${count} ${right(name)} `);
    expect(run.err.replaceAll(/ +/g, " ")).toContain(`all 12 ${right()} `);
  });

  test("without a subset have one line of summary", async () => {
    const run = await score(pairs.map(({ subset: _, ...pair }) => pair));
    expect(run.err).toMatch(/^all +12 /m);
    expect(run.err).not.toContain("(none)");
    expect(run.lines()[0]).not.toHaveProperty("subset");
  });
});

test("an adapter with its head judges as the model that it was put on", async () => {
  const [whole, adapted] = [await score(pairs), await score(pairs, "--model", adapter)];
  expect(adapted.code, adapted.err).toBe(0);
  expect(adapted.lines().map(({ margin }) => Number(margin))).toBeAllClose(
    whole.lines().map(({ margin }) => Number(margin)),
    { atol: 1e-5, rtol: 1e-5 },
  );
});

test("conversations get one score each, the one of the same answer in a pair", async () => {
  const [single, paired] = [await score(answers), await score(pairs)];
  expect(single.code, single.err).toBe(0);
  expect(single.err).toMatch(/^12 answers: mean score -?\d/m);
  expect(single.lines().map(({ score: value }) => Number(value))).toBeAllClose(
    paired.lines().map(({ chosen }) => Number(chosen)),
    { atol: 1e-5, rtol: 1e-5 },
  );
});

describe("is refused, and nothing written:", () => {
  const same = { ...pairs[0]!, rejected: pairs[0]!.chosen };
  const question = { messages: [...answers[0]!.messages, { role: "user", content: "and?" }] };
  test.each([
    ["a pair with equal sides", [...pairs, same], "ERR_PAIR_IDENTICAL", /are the same/, /line 13/],
    ["an empty answer", [...pairs, { ...same, rejected: " " }], "ERR_PAIR_EMPTY", /no answer/, /line 13/],
    [
      "a conversation without an answer at its end",
      [...answers, question],
      "ERR_NO_ANSWER",
      /end with an answer/,
      /line 13/,
    ],
  ] as const)("%s", async (_name, rows, code, says, where) => {
    const run = await score(rows);
    expectOneClearError(run, { code, says, where });
    expect(existsSync(run.out)).toBe(false);
  });

  test("a text longer than the limit, whose end would be judged by its middle", async () => {
    const long = { ...pairs[0]!, chosen: "water ".repeat(60) };
    const run = await score([...pairs, long], "--max-seq-len", "60");
    expectOneClearError(run, { code: "ERR_TOO_LONG", says: /tokens; at most 60/, where: /line 13/ });
    const skipped = await score([...pairs, long], "--max-seq-len", "60", "--on-bad", "skip");
    expect(skipped.code, skipped.err).toBe(0);
    expect(skipped.err).toMatch(/^1 row is left out; the first:$/m);
    expect(skipped.lines()).toHaveLength(12);
  });

  test("a language model, whose new head would give noise", async () => {
    const run = await score(pairs, "--model", tiny.model);
    expectOneClearError(run, { code: "ERR_REWARD_HEAD", says: /gives no scores/ });
    expect(existsSync(run.out)).toBe(false);
  });
});
