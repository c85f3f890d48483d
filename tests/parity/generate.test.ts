import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { generateGreedy } from "../../packages/camelid/src/generate/decode.js";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";
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

beforeAll(() => torch.setNumThreads(1));

describe.each(cases)("greedy decoding, $name", (stored) => {
  // Rows that end drop out of the batch; the others must not notice, whoever shares their batch.
  test.each([1, 2, 5])("equals transformers with %i prompts decoded together", async (batchSize) => {
    using model = loadTinyLlama(modelFolder);
    const decoded = await generateGreedy(model, prompts, {
      maxNewTokens: stored.max_new_tokens,
      stopTokenIds: stored.eos_token_ids,
      batchSize,
    });
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
  const decoded = await generateGreedy(model, [...prompts].reverse(), {
    maxNewTokens: stored.max_new_tokens,
    stopTokenIds: stored.eos_token_ids,
  });
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
    await generateGreedy(model, prompts, { maxNewTokens: 4, stopTokenIds: [] });
  }
  expect(torch.memoryStats()).toMatchObject({ liveTensors, liveBytes });
});
