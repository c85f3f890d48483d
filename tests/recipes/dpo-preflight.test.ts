/** What is wrong with pairs, or with pairs and a model together, is found before the first step of a preference run. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { type LanguageModel, loadModel, type PairRow, type RecipeContext, readRun } from "camelid";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  pairCutCheck,
  repeatedPairsCheck,
  sideLengthsCheck,
} from "../../packages/camelid/src/data/pair-checks.js";
import type { PackedRows } from "../../packages/camelid/src/nn/packed-rows.js";
import { fewPairs, pairSplitCheck } from "../../packages/camelid/src/train/preflight/pair-passes.js";
import * as dpo from "../../recipes/dpo.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-dpo-preflight-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let tiny: TinyModel;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 32 });
});

let files = 0;
function pairsFile(rows: readonly { chosen: string; rejected: string; prompt?: string }[]): string {
  const path = join(root, `pairs-${files++}.jsonl`);
  const lines = rows.map((row, i) => ({ dataset: "hills", id: `pair-${i}`, prompt: `camel ${i}?`, ...row }));
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}
const plain = Array.from({ length: 12 }, (_, i) => ({ chosen: `water ${i}.`, rejected: "grass cloud." }));

async function train(data: string, changes: Partial<dpo.DpoRunSettings> = {}) {
  const out = join(mkdtempSync(join(root, "run-")), "run");
  const settings = dpo.settings.parse({
    ...{ model: tiny.model, data, out, threads: 1, answerPrompts: null },
    ...{ microBatchSize: 4, learningRate: 1e-3, maxSteps: 2 },
    ...changes,
  });
  const { signal } = new AbortController();
  const context: RecipeContext = { recipe: "dpo", origins: {}, output: "silent", resume: false, signal };
  await dpo.run(settings, context);
  return { out, record: await readRun(out) };
}
const warnings = ({ record }: Awaited<ReturnType<typeof train>>) =>
  record.events.flatMap((event) =>
    event.event === "warning-raised" ? [`${event.code} ${event.message}`] : [],
  );

describe("pairs by themselves", () => {
  const ids = (...values: number[]) => ({
    id: "",
    dataset: "",
    inputIds: Int32Array.from(values),
    labels: Int32Array.from(values),
  });
  const pair = (id: string, chosen: number, rejected: number): PairRow => ({
    ...{ id, dataset: "d", place: 0, promptTokens: 1 },
    ...{ chosen: ids(1, chosen), rejected: ids(1, rejected) },
  });

  test("that come twice, or prefer the opposite of each other, are named", () => {
    expect(repeatedPairsCheck([pair("a", 5, 6), pair("b", 5, 7)])).toMatchObject({ status: "ok" });
    const { status, detail } = repeatedPairsCheck([pair("a", 5, 6), pair("b", 6, 5), pair("c", 5, 6)]);
    expect(status).toBe("warn");
    expect(detail).toContain("opposite of another: a and b");
    expect(detail).toContain("1 come twice: c");
  });

  const account = {
    source: "s",
    pairs: 10,
    promptTokens: 50,
    chosenTokens: 120,
    rejectedTokens: 100,
    cut: 0,
  };
  test("whose preferred sides are much longer are said to teach length", () => {
    expect(sideLengthsCheck([account]).status).toBe("ok");
    const longer = sideLengthsCheck([{ ...account, chosenTokens: 200 }]);
    expect(longer).toMatchObject({ status: "warn", detail: expect.stringContaining("2.00x") });
  });

  test("whose preferred side loses its end are named by their lines", () => {
    expect(pairCutCheck([account], [], 64).status).toBe("ok");
    const cut = pairCutCheck([{ ...account, cut: 3 }], ["p.jsonl line 4", "p.jsonl line 9"], 64);
    expect(cut).toMatchObject({ status: "warn" });
    expect(cut.detail).toContain("3 of 10 pairs");
    expect(cut.detail).toContain("p.jsonl line 4, p.jsonl line 9");
  });
});

describe("a run", () => {
  test("records what is remarkable about its pairs, with their lines", async () => {
    const long = { chosen: "water ".repeat(80), rejected: "grass." };
    const run = await train(pairsFile([...plain, long, plain[0]!, { ...plain[0]!, prompt: "camel 0?" }]), {
      ...{ maxSeqLen: 64 },
    });
    const text = warnings(run).join("\n");
    expect(text).toMatch(/PREFLIGHT_LENGTH .*1 preferred answers lose their end: .*line 13/);
    expect(text).toMatch(/PREFLIGHT_SIDE_LENGTHS/);
    expect(text).toMatch(/PREFLIGHT_REPEATED_PAIRS .*come twice: pair-14/);
  });

  test("says nothing with preflight off", async () => {
    const run = await train(pairsFile([...plain, plain[0]!]), { preflight: false });
    expect(warnings(run).filter((text) => text.includes("PREFLIGHT"))).toEqual([]);
  });

  test("stops before anything is written when answers would never end", async () => {
    const model = join(root, "no-end");
    const { cpSync } = await import("node:fs");
    cpSync(tiny.model, model, { recursive: true });
    const header = "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}";
    const template = `{{ bos_token }}{% for m in messages %}{{ m.role + ':\n' + m.content + '\n' }}{% endfor %}${header}`;
    writeFileSync(join(model, "chat_template.jinja"), template);
    const out = join(root, "never");
    const error = await train(pairsFile(plain), { model, out }).catch((caught) => caught);
    expect(error).toMatchObject({ code: "ERR_PREFLIGHT", where: expect.stringContaining("turn end") });
    expect(existsSync(out)).toBe(false);
  });

  test("lists every pair that it leaves out, with line and reason", async () => {
    const file = pairsFile([
      ...plain,
      { chosen: "same", rejected: "same" },
      { chosen: "water", rejected: " " },
    ]);
    const run = await train(file, { onBad: "skip" });
    const lines = readFileSync(join(run.out, "left-out.txt"), "utf8").trim().split("\n");
    expect(lines.map((line) => line.split("\t").slice(0, 2))).toEqual([
      [expect.stringContaining("line 13"), "ERR_PAIR_IDENTICAL"],
      [expect.stringContaining("line 14"), "ERR_PAIR_EMPTY"],
    ]);
  });
});

describe("pairs through a model", () => {
  const settings = { beta: 0.1, lossType: "dpo" as const, labelSmoothing: 0 };
  const rows = (): PairRow[] =>
    [3, 5, 8].map((size, place) => {
      const prompt = [1, 40 + place, 50];
      const side = (from: number) => {
        const answer = [...Array.from({ length: size }, (_, i) => from + i), 2];
        const labels = [...prompt.map(() => -100), ...answer];
        return {
          id: `${place}`,
          dataset: "d",
          inputIds: Int32Array.from([...prompt, ...answer]),
          labels: Int32Array.from(labels),
        };
      };
      return { id: `${place}`, dataset: "d", place, promptTokens: 3, chosen: side(60), rejected: side(90) };
    });

  test("give the same step however they are laid out, and leave no gradient", () => {
    using model = loadModel(tiny.model, { trainable: true });
    const before = torch.memoryStats().liveTensors;
    const check = pairSplitCheck(model, model.namedParameters(), rows(), settings);
    expect(check, check.detail).toMatchObject({ status: "ok" });
    expect([...model.namedParameters().values()].every(({ grad }) => grad === undefined)).toBe(true);
    expect(torch.memoryStats().liveTensors).toBe(before);
  });

  test("fail the check when the second answer sees the first", () => {
    using model = loadModel(tiny.model, { trainable: true });
    // As if branches of a shared prompt were one row after the other.
    const joined = (packed: PackedRows): PackedRows =>
      ({ ...packed, branches: undefined }) as unknown as PackedRows;
    const hiddenStates = model.hiddenStates.bind(model);
    vi.spyOn(model as LanguageModel, "hiddenStates").mockImplementation((packed, ...rest) =>
      hiddenStates(joined(packed), ...rest),
    );
    expect(pairSplitCheck(model, model.namedParameters(), rows(), settings).status).toBe("fail");
  });

  test("are tried on the smallest ones, cut on the right where they are long", () => {
    const all = rows();
    expect(fewPairs(all, 600)).toEqual(all);
    const cut = fewPairs(all, 36);
    expect(cut.map(({ chosen }) => chosen.inputIds.length)).toEqual([6, 6, 6]);
    expect(cut.every(({ promptTokens }) => promptTokens === 3)).toBe(true);
  });
});
