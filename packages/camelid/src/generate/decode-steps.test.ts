import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../../../../tests/tiny-model.js";
import type { LanguageModel } from "../model/language-model.js";
import { loadModel } from "../model/load.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import { createEngine } from "./engine.js";
import type { EngineSettings, EngineStats, Generation, GenerationRequest } from "./requests.js";

const root = mkdtempSync(join(tmpdir(), "camelid-decode-"));
afterAll(() => rmSync(root, { recursive: true }));

let model: LanguageModel;
let tokenizer: Tokenizer;
beforeAll(async () => {
  torch.setNumThreads(1);
  const tiny = await writeTinyModel(join(root, "tiny"), { rows: 16 });
  model = loadModel(tiny.model, { dtype: "float32" });
  tokenizer = await loadTokenizer(tiny.model);
});
afterAll(() => model[Symbol.dispose]());

async function generate(
  requests: readonly GenerationRequest[],
  settings: EngineSettings,
): Promise<{ texts: Generation[][]; stats: EngineStats }> {
  await using engine = createEngine(model, tokenizer, { kvCacheBytes: 2 ** 21, ...settings });
  return { texts: await engine.generate(requests), stats: engine.stats() };
}

const ids = (texts: Generation[][]) => texts.flat().map(({ outputIds }) => [...outputIds]);

/** Prompts of several lengths, texts that end at different times, one of them long enough for larger tables. */
const REQUESTS: GenerationRequest[] = [
  { promptIds: [1, 40, 41, 42, 43], maxNewTokens: 150, stopTokenIds: [] },
  { promptIds: Array.from({ length: 60 }, (_, i) => 5 + i), maxNewTokens: 20, stopTokenIds: [] },
  { promptIds: [1, 70], maxNewTokens: 33, stopTokenIds: [], samples: 2, temperature: 1.2, seed: 3 },
  { promptIds: [1, 71, 72], maxNewTokens: 9, stopTokenIds: [], temperature: 0.8, topP: 0.7, topK: 20 },
];

test("steps of fixed sizes write what steps in the shapes that come write, greedy and drawn, in any company", async () => {
  const plain = await generate(REQUESTS, { decodeMode: "plain" });
  const fixed = await generate(REQUESTS, { decodeMode: "fixed" });
  expect(ids(fixed.texts)).toEqual(ids(plain.texts));
  expect(fixed.stats.decoding).toEqual({ mode: "fixed", graphs: 0 });
  const [alone] = (await generate([REQUESTS[0]!], { decodeMode: "fixed" })).texts;
  expect(ids([alone!])).toEqual(ids([plain.texts[0]!]));
});

test("log-probabilities of fixed sizes are those of plain steps", async () => {
  const request = { ...REQUESTS[0]!, maxNewTokens: 12, topLogprobs: 3 };
  const [[plain]] = (await generate([request], { decodeMode: "plain" })).texts as [[Generation]];
  const [[fixed]] = (await generate([request], { decodeMode: "fixed" })).texts as [[Generation]];
  fixed.logprobs!.forEach(({ logp, top }, i) => {
    expect(logp).toBeCloseTo(plain.logprobs![i]!.logp, 4);
    expect(top.map(({ id }) => id)).toEqual(plain.logprobs![i]!.top.map(({ id }) => id));
  });
});

test("blocks that come back from other texts change nothing", async () => {
  const kvCacheBytes = 2 ** 16; // eight blocks: texts wait for each other's
  const many = Array.from({ length: 6 }, (_, i) => ({
    ...REQUESTS[0]!,
    promptIds: [1, 30 + i],
    maxNewTokens: 40,
  }));
  const plain = await generate(many, { decodeMode: "plain" });
  const fixed = await generate(many, { decodeMode: "fixed", kvCacheBytes });
  expect(ids(fixed.texts)).toEqual(ids(plain.texts));
});

test("graphs are refused where nothing can record them", () => {
  expect(() => createEngine(model, tokenizer, { decodeMode: "graph" })).toThrow(
    expect.objectContaining({ code: "ERR_DECODING_GRAPH", where: "the model is on cpu" }),
  );
});

test("without a word about it, a CPU decodes in the shapes that come", async () => {
  const { stats } = await generate([REQUESTS[1]!], {});
  expect(stats.decoding).toEqual({ mode: "plain", graphs: 0 });
});
