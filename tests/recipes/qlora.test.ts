/** Adapters on a base in 4 bits, and the optimizers that save memory, in whole runs. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  dequantizeModel,
  type LanguageModel,
  loadAdaptedModel,
  loadModel,
  type Message,
  mergeAdapters,
  packRows,
  type RecipeContext,
  readAdapterConfig,
  readRun,
  saveModel,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { Nf4Linear } from "../../packages/camelid/src/nn/nf4-linear.js";
import * as dpo from "../../recipes/dpo.js";
import * as sft from "../../recipes/sft.js";
import { camelid } from "../cli/camelid.js";
import "../close.js";
import { traceOf } from "../faults/training.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-qlora-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const lora = {
  ...{ rank: 4, alpha: 8, dropout: 0, rslora: false },
  targetModules: ["q_proj", "v_proj", "gate_proj", "down_proj"],
};
const quantize = { type: "nf4" as const, doubleQuant: true, throughFp16: false };
const rows = [
  [1, 20, 30, 41, 52, 63],
  [1, 70],
];

let tiny: TinyModel;
let pairs: string;
beforeAll(async () => {
  process.env.CAMELID_CACHE = join(root, "cache");
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 24 });
  pairs = join(root, "pairs.jsonl");
  const read = z.object({ messages: z.array(z.custom<Message>()) });
  const lines = readFileSync(tiny.data, "utf8").trim().split("\n");
  const made = lines.map((line, id) => {
    const prompt = read.parse(JSON.parse(line)).messages.slice(0, -1);
    const answer = (content: string): Message[] => [...prompt, { role: "assistant", content }];
    return { id, chosen: answer(`camel ${id}.`), rejected: answer("water water grass.") };
  });
  writeFileSync(pairs, made.map((row) => `${JSON.stringify(row)}\n`).join(""));
});

const newFolder = (): string => join(mkdtempSync(join(root, "run-")), "run");

interface How {
  resume?: boolean;
  /** The run is interrupted when this path exists in its folder. */
  stopAt?: string;
}

function contextOf(recipe: string, out: string, { resume = false, stopAt }: How): RecipeContext {
  const signal = {
    get aborted() {
      return stopAt !== undefined && existsSync(join(out, stopAt));
    },
  } as AbortSignal;
  return { recipe, origins: {}, output: "silent", resume, signal };
}

async function trainSft(changes: Partial<sft.SftSettings>, how: How = {}): Promise<string> {
  const settings = sft.settings.parse({
    ...{ model: tiny.model, data: tiny.data, out: newFolder(), threads: 1, preflight: false },
    ...{ microBatchSize: 4, gradAccumSteps: 2, learningRate: 1e-2, epochs: 2, saveEverySteps: 2 },
    ...changes,
  });
  await sft.run(settings, contextOf("sft", settings.out, how));
  return settings.out;
}

async function trainDpo(changes: Partial<dpo.DpoRunSettings>, how: How = {}): Promise<string> {
  const settings = dpo.settings.parse({
    ...{ model: tiny.model, data: pairs, out: newFolder(), threads: 1 },
    ...{ microBatchSize: 4, gradAccumSteps: 2, learningRate: 3e-2, epochs: 2 },
    ...{ lora, quantize },
    ...changes,
  });
  await dpo.run(settings, contextOf("dpo", settings.out, how));
  return settings.out;
}

const lossesOf = async (run: string): Promise<number[]> =>
  (await readRun(run)).steps.map(({ loss }) => Number(loss));

function logits(model: LanguageModel): torch.Tensor {
  return torch.noGrad(() => torch.linear(model.hiddenStates(packRows(rows, "cpu")), model.headWeight));
}

const kindsOf = (model: LanguageModel): Set<boolean> =>
  new Set(
    [...model.linears()].map((linear) => ("base" in linear ? linear.base : linear) instanceof Nf4Linear),
  );

describe("camelid sft on a base in 4 bits", () => {
  let run: string;
  beforeAll(async () => {
    run = await trainSft({ lora, quantize });
  });

  test("learns, step by step what adapters on the restored dense weights learn", async () => {
    const dense = join(root, "restored");
    using base = loadModel(tiny.model, { quantize });
    expect(kindsOf(base)).toEqual(new Set([true]));
    expect(dequantizeModel(base)).toBe(14);
    saveModel(base, dense, { tokenizer: tiny.model });
    const losses = await lossesOf(run);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.03); // the frozen head is random
    expect(losses).toEqual(await lossesOf(await trainSft({ lora, model: dense })));
    expect(losses).not.toEqual(await lossesOf(await trainSft({ lora })));
  });

  test("the preset's way, checkpointing and dropout with masters, gives the numbers of the same without checkpointing", async () => {
    const preset = { precision: "bf16-mixed", lora: { ...lora, dropout: 0.1 }, quantize } as const;
    const [plain, checkpointed] = [
      await trainSft(preset),
      await trainSft({ ...preset, activationCheckpointing: true }),
    ];
    expect(await lossesOf(checkpointed)).toEqual(await lossesOf(plain));
  });

  test("leaves an adapter folder that says how its base was quantised, and is loaded on such a base", () => {
    using _ = torch.tensorScope();
    const folder = join(run, "final");
    expect(readAdapterConfig(folder).quantize).toEqual({ doubleQuant: true, throughFp16: false });
    using model = loadAdaptedModel(folder);
    expect(kindsOf(model)).toEqual(new Set([true]));
    expect(() => loadAdaptedModel(folder, { quantize: { doubleQuant: false, throughFp16: false } })).toThrow(
      /was trained on nf4, doubleQuant true/,
    );
  });

  test("merges into the restored base, with the same logits, and the result is an ordinary model", () => {
    using _ = torch.tensorScope();
    using model = loadAdaptedModel(join(run, "final"));
    const before = logits(model);
    expect(mergeAdapters(model, rows)).toBeLessThan(1e-4);
    expect(kindsOf(model)).toEqual(new Set([false]));
    const merged = join(root, "merged");
    saveModel(model, merged);
    expect(readFileSync(join(merged, "config.json"), "utf8")).not.toContain("quantization_config");
    using again = loadModel(merged);
    expect(logits(again)).toBeAllClose(before, { atol: 1e-4, rtol: 1e-4 });
    using original = loadModel(tiny.model);
    const name = "model.layers.0.self_attn.k_proj.weight"; // no adapter on it: still the restored weight
    expect(again.namedParameters().get(name)!.equal(original.namedParameters().get(name)!)).toBe(false);
  });

  test("a folder in 4 bits is a base as well", async () => {
    const stored = join(root, "stored");
    using base = loadModel(tiny.model, { quantize });
    saveModel(base, stored, { tokenizer: tiny.model });
    const out = await trainSft({ lora, model: stored });
    expect(await lossesOf(out)).toEqual(await lossesOf(run));
    using model = loadAdaptedModel(join(out, "final"));
    using other = loadAdaptedModel(join(run, "final"));
    expect(torch.tensorScope(() => logits(model).equal(logits(other)))).toBe(true);
  });
});

test("the commands quantise a base as well, and a folder in 4 bits answers the same", async () => {
  const [prompts, stored] = [join(root, "prompts.jsonl"), join(root, "four-bits")];
  writeFileSync(prompts, `${JSON.stringify({ prompt: "alpaca guanaco" })}\n`);
  using base = loadModel(tiny.model, { quantize });
  saveModel(base, stored, { tokenizer: tiny.model });
  const answer = async (model: string, ...words: string[]): Promise<unknown> => {
    const out = join(mkdtempSync(join(root, "answers-")), "out.jsonl");
    const options = ["--prompts", prompts, "--out", out, "--max-new-tokens", "12", "--threads", "1"];
    const { code, err } = await camelid("generate", "--model", model, ...options, ...words);
    expect(code, err).toBe(0);
    return JSON.parse(readFileSync(out, "utf8")).output_ids;
  };
  const quantised = await answer(tiny.model, "--quantize-type", "nf4");
  expect(quantised).toEqual(await answer(stored));
  expect(quantised).toHaveLength(12);
});

describe("camelid dpo on a base in 4 bits", () => {
  test.each(["stored", "adapters-off"] as const)(
    "reference %s: starts at ln 2 and learns",
    async (reference) => {
      const out = await trainDpo({ reference });
      const losses = await lossesOf(out);
      expect(losses[0]!).toBeCloseTo(Math.LN2, 5);
      expect(losses.at(-1)!).toBeLessThan(0.9 * Math.LN2);
    },
  );

  test("what the reference said of another base is not taken for it", async () => {
    await trainDpo({ reference: "stored", quantize: null });
    const out = await trainDpo({ reference: "stored", quantize: { ...quantize, doubleQuant: false } });
    expect((await lossesOf(out))[0]!).toBeCloseTo(Math.LN2, 5);
  });
});

describe("a run that was interrupted goes on bit for bit", () => {
  const inBackward = { optimizerInBackward: true, maxGradNorm: null, microBatchSize: 8, gradAccumSteps: 1 };
  test.each<[string, Partial<sft.SftSettings>]>([
    ["QLoRA with dropout", { lora: { ...lora, dropout: 0.1 }, quantize }],
    ["8-bit moments", { optimizer: "adamw-8bit" }],
    ["8-bit moments of bf16 weights with masters", { optimizer: "adamw-8bit", precision: "bf16-mixed" }],
    ["updates in the backward pass", inBackward],
    [
      "updates in the backward pass, 8 bits, checkpointing",
      { ...inBackward, optimizer: "adamw-8bit", activationCheckpointing: true },
    ],
  ])("%s", async (_, changes) => {
    const whole = await traceOf(await trainSft(changes));
    const out = await trainSft(changes, { stopAt: "checkpoints/step-2" });
    expect((await readRun(out)).status).toBe("interrupted");
    await trainSft({ ...changes, out }, { resume: true });
    expect(await traceOf(out)).toEqual(whole);
    expect(whole).toHaveProperty("optimizer", expect.any(String));
  });
});

test("updates in the backward pass give the losses of updates after it", async () => {
  const common = { maxGradNorm: null, microBatchSize: 8, gradAccumSteps: 1 };
  const inside = await lossesOf(await trainSft({ ...common, optimizerInBackward: true }));
  expect(inside).toEqual(await lossesOf(await trainSft(common)));
});

test("8-bit moments lead close to where fp32 moments lead", async () => {
  const [fp32, eight] = await Promise.all([
    lossesOf(await trainSft({})),
    lossesOf(await trainSft({ optimizer: "adamw-8bit" })),
  ]);
  expect(eight).not.toEqual(fp32);
  expect(eight.at(-1)! / fp32.at(-1)!).toBeCloseTo(1, 1);
  expect(eight.at(-1)!).toBeLessThan(eight[0]! - 1);
});

test.each<[string, Partial<sft.SftSettings>, string]>([
  ["4 bits without adapters", { quantize }, "ERR_QUANTIZE_NEEDS_LORA"],
  [
    "updates in the backward pass with clipping",
    { optimizerInBackward: true, gradAccumSteps: 1 },
    "ERR_IN_BACKWARD_CLIP",
  ],
  [
    "updates in the backward pass with accumulation",
    { optimizerInBackward: true, maxGradNorm: null },
    "ERR_IN_BACKWARD_ACCUMULATION",
  ],
])("%s is refused, and no folder is made", async (_, changes, code) => {
  const out = newFolder();
  await expect(trainSft({ ...changes, out })).rejects.toMatchObject({ code });
  expect(existsSync(out)).toBe(false);
});
