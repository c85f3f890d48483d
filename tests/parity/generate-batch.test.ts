/**
 * In fp32 on a CPU a text does not depend on what is computed beside it: not on the other sequences of a step, nor on the cuts
 * of its prompt, nor on what was found in the cache. All log-probabilities of the vocabulary agree bit by bit, at sizes where
 * libtorch's matrix products take other kernels for few rows than for many.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateOnce } from "../../packages/camelid/src/generate/generate-once.js";
import type {
  EngineSettings,
  Generation,
  GenerationRequest,
} from "../../packages/camelid/src/generate/requests.js";
import { parseConfig } from "../../packages/camelid/src/model/config.js";
import type { LanguageModel } from "../../packages/camelid/src/model/language-model.js";
import { initModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { loadTokenizer, type Tokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { writeNumberTokenizer } from "../cli/number-tokenizer.js";
import { random } from "../tiny-model.js";

const VOCABULARY = 700;
const folder = mkdtempSync(join(tmpdir(), "camelid-batch-"));
let model: LanguageModel;
let tokenizer: Tokenizer;
beforeAll(async () => {
  torch.setNumThreads(1);
  torch.manualSeed(1);
  model = initModel(
    parseConfig({
      model_type: "llama",
      vocab_size: VOCABULARY,
      hidden_size: 192,
      intermediate_size: 500,
      num_hidden_layers: 3,
      num_attention_heads: 6,
      num_key_value_heads: 2,
      max_position_embeddings: 512,
      initializer_range: 0.15, // far from uniform: greedy texts of their own
      bos_token_id: 1,
      eos_token_id: 2,
    }),
  );
  saveModel(model, folder);
  writeNumberTokenizer(folder);
  tokenizer = await loadTokenizer(folder);
});
afterAll(() => {
  model[Symbol.dispose]();
  torch.setNumThreads(1);
  rmSync(folder, { recursive: true });
});

const next = random(9);
const row = (length: number): number[] =>
  Array.from({ length }, (_, i) => (i === 0 ? 1 : 3 + Math.floor(next() * (VOCABULARY - 3))));
const request = (promptIds: number[], more: Partial<GenerationRequest> = {}): GenerationRequest => ({
  promptIds,
  maxNewTokens: 12,
  stopTokenIds: [],
  topLogprobs: VOCABULARY,
  ...more,
});
const [short, long] = [row(5), row(117)];
const common = row(70);
const MATES = [3, 16, 17, 40, 90, 131, 8].map((length) =>
  request(row(length), { maxNewTokens: 1 + (length % 15) }),
);

async function generate(requests: GenerationRequest[], settings: EngineSettings = {}): Promise<Generation[]> {
  return (await generateOnce(model, tokenizer, requests, { settings })).flat();
}

/** Everything that a text consists of, with every bit of its numbers. */
const bits = ({ outputIds, logprobs }: Generation) => {
  const numbers = logprobs!.flatMap(({ logp, top }) => [
    logp,
    ...top.flatMap((entry) => [entry.id, entry.logp]),
  ]);
  const hash = createHash("sha256").update(Float64Array.from(numbers)).digest("hex");
  return { ids: [...outputIds].join(), numbers: numbers.length, hash };
};

describe.each([1, 2, 3])("with %i threads", (threads) => {
  test("a text is the same alone and in any company, from the first logits to the last", async () => {
    torch.setNumThreads(threads);
    for (const prompt of [short, long, [...common, 9, 11]]) {
      const own = request(prompt);
      const alone = bits((await generate([own]))[0]!);
      expect(alone.numbers).toBe(12 * (2 * VOCABULARY + 1));
      for (const mates of [MATES.slice(0, 1), MATES.slice(1, 4), MATES])
        expect(bits((await generate([own, ...mates]))[0]!)).toEqual(alone);
      // Last in line, in steps so small that its prompt is cut, and with a beginning that another prompt has computed.
      const last = (results: Generation[]) => bits(results.at(-1)!);
      expect(last(await generate([...MATES, own], { maxStepTokens: 23 }))).toEqual(alone);
      expect(last(await generate([...MATES, own], { maxSequences: 3 }))).toEqual(alone);
      expect(last(await generate([request([...common, 5]), request([...prompt, 7]), own]))).toEqual(alone);
    }
  }, 60_000);

  test("sampled texts neither", async () => {
    torch.setNumThreads(threads);
    const own = request(long, { temperature: 1.1, topP: 0.9, seed: 5, samples: 3 });
    const alone = (await generate([own])).map(bits);
    expect(new Set(alone.map(({ ids }) => ids)).size).toBe(3);
    const among = await generateOnce(model, tokenizer, [...MATES, own], { settings: { maxStepTokens: 40 } });
    expect(among.at(-1)!.map(bits)).toEqual(alone);
  }, 60_000);
});

test("sequences that gave way to older ones come to the same texts", async () => {
  torch.setNumThreads(1);
  const requests = [20, 33, 47, 60].map((length, i) =>
    request(row(length), { maxNewTokens: 60, temperature: i % 2, seed: i }),
  );
  const plenty = (await generate(requests)).map(bits);
  const blockBytes = 3 * 2 * 2 * 16 * 32 * 4;
  // Room for all prompts, but not for all texts.
  expect((await generate(requests, { kvCacheBytes: 16 * blockBytes })).map(bits)).toEqual(plenty);
});
