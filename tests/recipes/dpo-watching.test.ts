/** What a preference run tells of its side effects: lengths of answers, other languages; on rows that it does not train. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  describeEffects,
  loadModel,
  loadTokenizer,
  pairLogps,
  preferenceEffects,
  type RecipeContext,
  readLineage,
  readPairRows,
  readRun,
  trainedTokens,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as dpo from "../../recipes/dpo.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-dpo-watching-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ENGLISH = [
  "The hill is high and the water is cold.",
  "They have been on the road with all of their camels.",
];
const GERMAN = [
  "Das Wasser ist kalt und der Berg ist hoch.",
  "Sie sind nicht mit den Kamelen auf der Straße.",
];

let tiny: TinyModel;
let pairs: string;
let others: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 32 });
  const pair = (texts: string[]) => (_: unknown, i: number) => ({
    ...{ dataset: "hills", id: `${texts[0]![0]}${i}`, prompt: `camel ${i}?` },
    ...{ chosen: `${texts[i % 2]} ${i}`, rejected: "grass." },
  });
  pairs = lines("pairs", [...Array(24)].map(pair(ENGLISH)));
  others = lines("others", [...[...Array(4)].map(pair(ENGLISH)), ...[...Array(5)].map(pair(GERMAN))]);
});

function lines(name: string, rows: readonly unknown[]): string {
  const path = join(root, `${name}.jsonl`);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}

async function train(changes: Partial<dpo.DpoRunSettings> = {}) {
  const out = join(mkdtempSync(join(root, "run-")), "run");
  const settings = dpo.settings.parse({
    ...{ model: tiny.model, data: pairs, out, threads: 1 },
    ...{ microBatchSize: 4, learningRate: 3e-3, maxSteps: 4, maxNewTokens: 8, answerPrompts: 3 },
    ...changes,
  });
  const { signal } = new AbortController();
  const context: RecipeContext = { recipe: "dpo", origins: {}, output: "silent", resume: false, signal };
  await dpo.run(settings, context);
  return { out, record: await readRun(out) };
}

const traceOf = ({ record }: Awaited<ReturnType<typeof train>>) =>
  record.steps.map(({ loss, grad_norm }) => [loss, grad_norm]);
const ofName = ({ record }: Awaited<ReturnType<typeof train>>, name: string) =>
  record.evals.filter((one) => one.name === name);

test("one pair of another language is as likely a wrong guess: the last lines say that too little was seen", () => {
  const looks = [0, 4].map((step) => ({
    ...{ event: "eval-end" as const, time: "2026-01-01T00:00:00Z", step, name: "pairs", loss: 0.6 },
    metrics: Object.fromEntries(
      ["", "language/en/", "language/ro/", "language/others/"].flatMap((prefix) => [
        [`${prefix}pairs`, prefix.endsWith("ro/") || prefix.endsWith("others/") ? 1 : 23],
        [`${prefix}nll/chosen`, 3 - step / 10],
        [`${prefix}rewards/accuracies`, 0.5],
        [`${prefix}rewards/margins`, 0.1],
      ]),
    ),
  }));
  const text = describeEffects(preferenceEffects({ evals: looks, settings: { heldOutRows: 24 } })!);
  expect(text).toContain("en (23)");
  expect(text).toContain("3.00 -> 2.60");
  expect(text).not.toContain("ro (1)");
  expect(text).toContain('other languages than "en" was hardly seen');
});

describe("pairs that a run looks at", () => {
  test("are some of its own when none are held out, begin at margins of 0 and end at what the model says", async () => {
    const run = await train();
    const [before, after] = ofName(run, "pairs");
    expect(before).toMatchObject({ step: 0, metrics: { pairs: 24 } });
    expect(before!.loss).toBeCloseTo(Math.LN2, 5);
    expect(before!.metrics!["rewards/margins"]).toBeCloseTo(0, 5);
    expect(after!.step).toBe(4);
    expect(after!.metrics!["rewards/accuracies"]).toBeGreaterThan(0.5);
    const { pairs: rows } = await readPairRows(pairs, await loadTokenizer(tiny.model), { onBad: "error" });
    using _ = torch.tensorScope();
    using model = loadModel(join(run.out, "final"));
    const { chosen } = torch.noGrad(() => pairLogps(model, rows, { sharePrompts: false }));
    const tokens = rows.reduce((sum, row) => sum + trainedTokens(row.chosen), 0);
    expect(after!.metrics!["nll/chosen"]).toBeCloseTo(-chosen.sum().item() / tokens, 4);
  });

  test("are never trained when they are held out", async () => {
    const run = await train({ heldOutRows: 6, evalEverySteps: 2 });
    expect(ofName(run, "pairs").map(({ step, metrics }) => [step, metrics!.pairs])).toEqual([
      [0, 6],
      [2, 6],
      [4, 6],
    ]);
    const { rowsOfStep } = await readLineage(join(run.out, "lineage"));
    const trained = new Set([...rowsOfStep.values()].flat());
    const whole = await train({ heldOutRows: 6, maxSteps: null, epochs: 3 });
    const all = new Set([...(await readLineage(join(whole.out, "lineage"))).rowsOfStep.values()].flat());
    expect(all.size).toBe(18);
    expect([...trained].every((place) => all.has(place))).toBe(true);
  });

  test("of another file are told apart by language", async () => {
    const run = await train({ evalData: others });
    const [before, after] = ofName(run, "pairs");
    expect(after!.metrics).toMatchObject({ "language/de/pairs": 5, "language/en/pairs": 4 });
    const nll = (name: string) => after!.metrics![`language/${name}/nll/chosen`]!;
    expect(nll("de")).toBeGreaterThan(nll("en"));
    expect(before!.metrics!["language/en/rewards/margins"]).toBeCloseTo(0, 5);
    const text = describeEffects(preferenceEffects(run.record)!);
    expect(text).toMatch(/^de \(5\) +preferred answers [\d.]+ -> [\d.]+ nats\/token; \d+ % right, margin/m);
    expect(text).not.toContain("hardly seen");
  });

  test("are not taken for German because of a hat: short answers are judged with their prompts", async () => {
    const hats = [...Array(8)].map((_, i) => ({
      ...{ dataset: "hats", id: `${i}`, prompt: `Which colour has the hat of number ${i}?` },
      ...{ chosen: `Number ${i} wears a red hat.`, rejected: "no" },
    }));
    const run = await train({ evalData: lines("hats", hats) });
    expect(ofName(run, "pairs").at(-1)!.metrics).toMatchObject({ "language/en/pairs": 8 });
  });

  test("may be conversations, of which only the loss is told", async () => {
    const rows = [...ENGLISH, ...GERMAN].map((content, i) => ({
      ...{ dataset: "any", id: `${i}` },
      messages: [
        { role: "user", content: "camel?" },
        { role: "assistant", content },
      ],
    }));
    const run = await train({ evalData: lines("conversations", rows) });
    expect(ofName(run, "pairs")).toEqual([]);
    expect(Object.keys(ofName(run, "held-out").at(-1)!.metrics!)).toEqual(["loss/de", "loss/en"]);
    expect(describeEffects(preferenceEffects(run.record)!)).toMatch(/^de +held-out loss [\d.]+ -> [\d.]+/m);
  });

  test("and what is generated leave every bit of the training as it was", async () => {
    const [watched, plain] = [
      await train({ evalData: others, evalEverySteps: 1, sampleEverySteps: 1 }),
      await train({ answerPrompts: null }),
    ];
    expect(traceOf(watched)).toEqual(traceOf(plain));
  });

  test("cannot be taken from two places, nor be most of the data", async () => {
    await expect(train({ evalData: others, heldOutRows: 2 })).rejects.toMatchObject({ code: "ERR_HELD_OUT" });
    await expect(train({ heldOutRows: 13 })).rejects.toMatchObject({ code: "ERR_HELD_OUT" });
  });
});

test("the length of answers before and after is in the report and in the last lines", async () => {
  const run = await train();
  expect(run.record.samples.map(({ step }) => step)).toEqual([0, 0, 0, 4, 4, 4]);
  expect(run.record.samples[0]!.reference).toMatch(/hill|road/);
  const effects = preferenceEffects(run.record)!;
  expect(effects.answers).toMatchObject({ prompts: 3, maxNewTokens: 8 });
  const text = describeEffects(effects);
  expect(text).toMatch(/^answers to 3 prompts {3}\d+ -> \d+ tokens/);
  expect(text).toContain("These pairs were trained on");
  expect(text).toContain('other languages than "en" was hardly seen');
  const report = readFileSync(join(run.out, "report.html"), "utf8");
  expect(report).toContain("What else changed");
  expect(report).toContain("ended by the model");
});
