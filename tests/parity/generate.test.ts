import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateOnce } from "../../packages/camelid/src/generate/generate-once.js";
import type { EngineSettings, Generation } from "../../packages/camelid/src/generate/requests.js";
import type { LanguageModel } from "../../packages/camelid/src/model/language-model.js";
import { loadTokenizer, type Tokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { writeNumberTokenizer } from "../cli/number-tokenizer.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import { loadTinyLlama, packedLogits } from "./tiny-llama.js";

interface DecodeCase {
  name: string;
  eos_token_ids: number[];
  max_new_tokens: number;
  outputs: number[][];
  finish_reasons: ("stop" | "length")[];
}

const {
  model: modelName,
  prompts,
  cases,
} = readReferenceJson<{
  model: string;
  prompts: number[][];
  cases: DecodeCase[];
}>("generate/fixtures/reference.json");
const modelFolder = `llama/fixtures/${modelName}/model`;

const folder = mkdtempSync(join(tmpdir(), "camelid-generate-"));
afterAll(() => rmSync(folder, { recursive: true }));
let tokenizer: Tokenizer;
beforeAll(async () => {
  torch.setNumThreads(1);
  cpSync(parityPath(modelFolder), folder, { recursive: true });
  writeNumberTokenizer(folder);
  tokenizer = await loadTokenizer(folder);
});

async function greedy(
  model: LanguageModel,
  rows: readonly number[][],
  stored: Pick<DecodeCase, "max_new_tokens" | "eos_token_ids">,
  settings: EngineSettings = {},
): Promise<Generation[]> {
  const decoding = { maxNewTokens: stored.max_new_tokens, stopTokenIds: stored.eos_token_ids };
  const requests = rows.map((promptIds) => ({ promptIds, ...decoding }));
  return (await generateOnce(model, tokenizer, requests, { settings })).map(([generation]) => generation!);
}

describe.each(cases)("greedy decoding, $name", (stored) => {
  // Rows that end drop out of the batch; the others must not notice, whoever shares their steps.
  test.each([
    ["one at a time", { maxSequences: 1 }],
    ["two at a time", { maxSequences: 2 }],
    ["all at once", {}],
    ["three tokens a step", { maxStepTokens: 3 }],
  ])("equals transformers, %s", async (_, settings) => {
    using model = loadTinyLlama(modelFolder);
    const decoded = await greedy(model, prompts, stored, settings);
    expect(decoded.map(({ outputIds }) => [...outputIds])).toEqual(stored.outputs);
    expect(decoded.map(({ finishReason }) => finishReason)).toEqual(stored.finish_reasons);
  });
});

test("the stored cases end in every way: at the first token, midway, and not at all", () => {
  const lengths = cases.flatMap(({ outputs, finish_reasons }) =>
    outputs.map((output, i) => (finish_reasons[i] === "stop" ? output.length : -1)),
  );
  expect(lengths).toContain(0);
  expect(lengths).toContain(-1);
  expect(Math.max(...lengths)).toBeGreaterThan(3);
});

test("the order of prompts does not matter", async () => {
  using model = loadTinyLlama(modelFolder);
  const stored = cases.find(({ name }) => name === "two-end-tokens")!;
  const decoded = await greedy(model, [...prompts].reverse(), stored);
  expect(decoded.map(({ outputIds }) => [...outputIds]).reverse()).toEqual(stored.outputs);
});

test("a batch gives each prompt the next-token logits it has alone", () => {
  using _ = torch.tensorScope();
  using model = loadTinyLlama(modelFolder);
  const stored = readReferenceTensors("generate/fixtures/reference.safetensors");
  packedLogits(model, prompts).forEach((logits, i) => {
    expect(logits.select(0, -1)).toBeAllClose(stored.get(`logits_after.${i}`), { atol: 1e-5, rtol: 0 });
  });
});

test("decoding leaves no tensor behind", async () => {
  const { liveTensors, liveBytes } = torch.memoryStats();
  {
    using model = loadTinyLlama(modelFolder);
    await greedy(model, prompts, { max_new_tokens: 4, eos_token_ids: [] });
  }
  expect(torch.memoryStats()).toMatchObject({ liveTensors, liveBytes });
});
