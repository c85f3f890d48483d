import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../../../../tests/tiny-model.js";
import { adaptersOf, addLora } from "../adapters/lora.js";
import { rowLogprobs } from "../eval/row-logprobs.js";
import type { LanguageModel } from "../model/language-model.js";
import { loadModel } from "../model/load.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import { createEngine } from "./engine.js";
import type {
  Engine,
  EngineSettings,
  Generation,
  GenerationDelta,
  GenerationRequest,
  Score,
} from "./requests.js";

const root = mkdtempSync(join(tmpdir(), "camelid-engine-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
let model: LanguageModel;
let tokenizer: Tokenizer;
/** Keys and values of a block of the tiny model: 2 layers, 2 heads, 16 tokens in 16 lanes, fp32. */
const BLOCK = 2 * 2 * 2 * 16 * 16 * 4;

beforeAll(async () => {
  torch.setNumThreads(1);
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 16 });
  model = loadModel(tiny.model, { dtype: "float32" });
  tokenizer = await loadTokenizer(tiny.model);
});
afterAll(() => model[Symbol.dispose]());

const open: Engine[] = [];
afterEach(async () => {
  for (const engine of open.splice(0)) await engine[Symbol.asyncDispose]();
});
function engineOf(settings: EngineSettings = {}, of = model): Engine {
  const engine = createEngine(of, tokenizer, settings);
  open.push(engine);
  return engine;
}
const live = () => {
  const { liveTensors, liveBytes } = torch.memoryStats();
  return { liveTensors, liveBytes };
};
const ask = (more: Partial<GenerationRequest> = {}): GenerationRequest => ({
  promptIds: [1, 40, 41, 42, 43],
  maxNewTokens: 10,
  stopTokenIds: [],
  ...more,
});

describe("generate", () => {
  test("gives samples of one prompt that differ, and the same ones again", async () => {
    const request = ask({ temperature: 1.5, samples: 4, seed: 7 });
    const [first] = await engineOf().generate([request]);
    const [again] = await engineOf().generate([request]);
    expect(again).toEqual(first);
    expect(new Set(first!.map(({ text }) => text)).size).toBeGreaterThan(1);
    const [other] = await engineOf().generate([{ ...request, seed: 8 }]);
    expect(other).not.toEqual(first);
    // Seed 0 is a seed, and the one that is used when none is named.
    const { seed: _, ...unnamed } = request;
    expect(await engineOf().generate([unnamed])).toEqual(
      await engineOf().generate([{ ...request, seed: 0 }]),
    );
  });

  test("computes a shared prompt once", async () => {
    const engine = engineOf();
    const promptIds = Array.from({ length: 100 }, (_, i) => 5 + i);
    await engine.generate([ask({ promptIds, samples: 8, maxNewTokens: 1 })]);
    const { promptTokens, reusedTokens } = engine.stats();
    // What follows the last token is asked of every sample; the block of the last four is copied or computed.
    expect(promptTokens).toBeLessThanOrEqual(100 + 7 * 4);
    expect(promptTokens + reusedTokens).toBe(800);
  });

  test("ends with an end token, which is no part of the text, at the length, and at the model's context", async () => {
    const engine = engineOf();
    const [[free]] = (await engine.generate([ask()])) as [[Generation]];
    const third = free.outputIds[2]!;
    const upTo = [...free.outputIds].indexOf(third);
    const [[stopped]] = (await engine.generate([ask({ stopTokenIds: [third] })])) as [[Generation]];
    expect(stopped).toMatchObject({ outputIds: free.outputIds.slice(0, upTo), finishReason: "stop" });
    const promptIds = Array.from({ length: 250 }, () => 9);
    const [[cut]] = (await engine.generate([ask({ promptIds })])) as [[Generation]];
    expect(cut).toMatchObject({ finishReason: "length" });
    expect(cut.outputIds).toHaveLength(6);
  });

  test("ends before a stop string", async () => {
    const engine = engineOf();
    const [[whole]] = (await engine.generate([ask({ maxNewTokens: 30 })])) as [[Generation]];
    const stop = whole!.text.slice(7, 10);
    const [[cut]] = (await engine.generate([ask({ maxNewTokens: 30, stop: [stop] })])) as [[Generation]];
    expect(cut).toMatchObject({
      text: whole!.text.slice(0, whole!.text.indexOf(stop)),
      finishReason: "stop",
    });
    expect(tokenizer.decode(cut!.outputIds)).toContain(stop);
  });

  test("gives the log-probabilities that the plain computation gives", async () => {
    const [[told]] = (await engineOf().generate([ask({ temperature: 0.8, topP: 0.5, topLogprobs: 3 })])) as [
      [Generation],
    ];
    const row = [...Array.from(ask().promptIds), ...told!.outputIds];
    const [plain] = rowLogprobs(model, [{ inputIds: row, labels: row }]);
    told!.logprobs!.forEach(({ id, logp, top }, i) => {
      expect(id).toBe(told!.outputIds[i]);
      expect(logp).toBeCloseTo(plain!.tokenLogps[4 + i]!, 4);
      expect(top).toHaveLength(3);
      expect(top[0]!.logp).toBeGreaterThanOrEqual(top[1]!.logp);
      expect(top[0]!.logp).toBeGreaterThanOrEqual(logp);
    });
  });

  test("calls of several callers share steps", async () => {
    const engine = engineOf();
    const alone = await engine.generate([ask()]);
    const { steps } = engine.stats();
    const both = await Promise.all([
      engine.generate([ask()]),
      engine.generate([ask({ promptIds: [1, 50] })]),
    ]);
    expect(both[0]).toEqual(alone);
    expect(engine.stats().steps - steps).toBeLessThanOrEqual(steps + 2);
  });

  test("works with NF4 weights, in any company", async () => {
    using nf4 = loadModel(tiny.model, {
      dtype: "float32",
      quantize: { doubleQuant: true, throughFp16: false },
    });
    const [[alone]] = (await engineOf({}, nf4).generate([ask({ topLogprobs: 5 })])) as [[Generation]];
    const mates = [1, 2, 3].map((i) => ask({ promptIds: [1, 60 + i], topLogprobs: 5 }));
    const [[among]] = (await engineOf({}, nf4).generate([ask({ topLogprobs: 5 }), ...mates])) as [
      [Generation],
    ];
    expect(among).toEqual(alone);
  });

  test("works in bf16, and with adapters", async () => {
    using bf16 = loadModel(tiny.model, { dtype: "bfloat16" });
    const [[text]] = (await engineOf({}, bf16).generate([ask()])) as [[Generation]];
    expect(text!.outputIds).toHaveLength(10);
    using adapted = loadModel(tiny.model, { dtype: "float32" });
    addLora(adapted, { rank: 4, alpha: 64, dropout: 0, targetModules: ["q_proj", "down_proj"] });
    torch.noGrad(() => {
      for (const adapter of adaptersOf(adapted)) {
        for (const [name, parameter] of adapter.namedParameters())
          if (name.endsWith("lora_B.weight")) parameter.normal_(0, 1);
      }
    });
    const [[own]] = (await engineOf({}, adapted).generate([ask()])) as [[Generation]];
    const row = [...Array.from(ask().promptIds), ...own!.outputIds];
    const [[scores]] = (await engineOf({}, adapted).score([
      { promptIds: row.slice(0, 5), continuations: [row.slice(5)] },
    ])) as [[Score]];
    expect(scores!.isGreedy).toBe(true);
    expect([...own!.outputIds]).not.toEqual([...(await engineOf().generate([ask()]))[0]![0]!.outputIds]);
  });
});

describe("memory", () => {
  test("stays inside the budget, and texts wait for it", async () => {
    const kvCacheBytes = 6 * BLOCK;
    const engine = engineOf({ kvCacheBytes });
    const requests = Array.from({ length: 9 }, (_, i) => ask({ promptIds: [1, 30 + i], maxNewTokens: 60 }));
    const results = await engine.generate(requests, {
      onProgress: () => expect(engine.stats().kvUsedBytes).toBeLessThanOrEqual(kvCacheBytes),
    });
    expect(results.every(([text]) => text!.outputIds.length === 60)).toBe(true);
    expect(engine.stats().kvPeakBytes).toBe(kvCacheBytes);
    expect(results).toEqual(await engineOf().generate(requests));
  });

  test("a text that can never fit is an error that says how much it needs", async () => {
    const engine = engineOf({ kvCacheBytes: 6 * BLOCK });
    await expect(engine.generate([ask(), ask({ maxNewTokens: 100 })])).rejects.toThrow(
      expect.objectContaining({
        code: "ERR_KV_BUDGET",
        where: "request 2",
        fix: expect.stringContaining(`${7 * BLOCK}`),
      }),
    );
    expect(engine.stats()).toMatchObject({ steps: 0, waiting: 0, running: 0 });
  });

  test("cancelling frees at once and keeps what was written", async () => {
    const engine = engineOf({ maxSequences: 2 });
    const stop = new AbortController();
    const requests = Array.from({ length: 4 }, () => ask({ maxNewTokens: 200 }));
    const results = await engine.generate(requests, {
      signal: stop.signal,
      onProgress({ tokens }) {
        if (tokens !== 13 || stop.signal.aborted) return;
        stop.abort();
        expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
      },
    });
    expect(results.flat().map(({ finishReason }) => finishReason)).toEqual(Array(4).fill("cancelled"));
    expect(results.flat().reduce((sum, { outputIds }) => sum + outputIds.length, 0)).toBe(13);
    expect(results[3]![0]).toMatchObject({ text: "" });
    // The engine goes on.
    expect((await engine.generate([ask()]))[0]![0]!.outputIds).toHaveLength(10);
  });

  test("everything is given back: after texts, cancelled ones, scores, streams left early, and failures", async () => {
    const before = live();
    const engine = createEngine(model, tokenizer);
    await engine.generate([ask({ samples: 3, temperature: 1, topLogprobs: 2 })]);
    await engine.score([{ promptIds: [1, 20], continuations: [[21, 22], [23]] }]);
    for await (const _ of engine.stream(ask())) break;
    const failing = () => {
      throw new Error("the reader hung up");
    };
    await expect(engine.generate([ask(), ask()], { onProgress: failing })).rejects.toThrow("hung up");
    await expect(
      engine.score([{ promptIds: [1], continuations: [[2]] }], { onDone: failing }),
    ).rejects.toThrow();
    await engine.generate([ask()], { signal: AbortSignal.abort() });
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    const unfinished = engine.generate([ask({ maxNewTokens: 200 })]);
    const refused = expect(unfinished).rejects.toThrow(/disposed of/);
    await engine[Symbol.asyncDispose]();
    await refused;
    expect(live()).toEqual(before);
    await expect(engine.generate([ask()])).rejects.toThrow(/after it was disposed/);
  });

  test("a caller's open scope does not own the engine's memory", async () => {
    const engine = engineOf();
    const early = torch.tensorScope(() => {
      const answer = engine.generate([ask()]);
      return { answer };
    });
    expect((await early.answer)[0]![0]!.outputIds).toHaveLength(10);
    expect((await engine.generate([ask()]))[0]![0]!.outputIds).toHaveLength(10);
  });
});

describe("stream", () => {
  test("pieces join to the text and the tokens that generate gives, sample by sample", async () => {
    const request = ask({
      samples: 2,
      temperature: 1.2,
      seed: 3,
      maxNewTokens: 40,
      stop: ["zzz"],
      topLogprobs: 0,
    });
    const [whole] = await engineOf().generate([request]);
    const deltas: GenerationDelta[] = [];
    for await (const delta of engineOf().stream(request)) deltas.push(delta);
    whole!.forEach(({ text, outputIds, finishReason, logprobs }, sample) => {
      const own = deltas.filter((delta) => delta.sample === sample);
      expect(own.map((delta) => delta.text).join("")).toBe(text);
      expect(own.flatMap((delta) => delta.outputIds)).toEqual([...outputIds]);
      expect(own.flatMap((delta) => delta.logprobs!)).toEqual(logprobs);
      expect(own.map((delta) => delta.finishReason)).toEqual([
        ...Array(own.length - 1).fill(undefined),
        finishReason,
      ]);
      expect(own.length).toBeGreaterThan(10);
    });
  });

  test("leaving early ends the request at once", async () => {
    const engine = engineOf();
    for await (const { text } of engine.stream(ask({ maxNewTokens: 200 }))) if (text !== "") break;
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  test("a signal ends it with what there is", async () => {
    const engine = engineOf();
    const stop = new AbortController();
    const deltas: GenerationDelta[] = [];
    for await (const delta of engine.stream(ask({ maxNewTokens: 200 }), { signal: stop.signal })) {
      deltas.push(delta);
      stop.abort();
    }
    expect(deltas.at(-1)!.finishReason).toBe("cancelled");
  });
});

describe("score", () => {
  const header = Array.from({ length: 61 }, (_, i) => 5 + ((i * 7) % 200));
  const requests = Array.from({ length: 6 }, (_, i) => ({
    promptIds: [1, ...header, 50 + i, 60 + i],
    continuations: [[70 + i], [71], [70 + i, 80, 81, 82 + i], [90, 91], []],
  }));

  test("equals the plain computation", async () => {
    for (const settings of [{}, { maxStepTokens: 20 }, { kvCacheBytes: 8 * BLOCK }]) {
      const results = await engineOf(settings).score(requests);
      for (const [i, { promptIds, continuations }] of requests.entries()) {
        continuations.forEach((continuation, c) => {
          const row = [...promptIds, ...continuation];
          const [plain] = rowLogprobs(model, [{ inputIds: row, labels: row }]);
          const expected = [...plain!.tokenLogps.slice(promptIds.length - 1)];
          const { tokenLogps, logp } = results[i]![c]!;
          expect(tokenLogps).toHaveLength(continuation.length);
          tokenLogps.forEach((value, t) => {
            expect(Math.abs(value - expected[t]!)).toBeLessThan(1e-5);
          });
          expect(Math.abs(logp - expected.reduce((a, b) => a + b, 0))).toBeLessThan(1e-5);
        });
      }
    }
  });

  test("computes what prompts and continuations share once", async () => {
    const engine = engineOf();
    await engine.score(requests);
    const { promptTokens } = engine.stats();
    // 64 tokens of the first prompt; of each other one its own 2 or the block they begin in; 3 + 1 of the continuations.
    expect(promptTokens).toBeLessThanOrEqual(64 + 5 * 4 + 6 * 4 + 6 * 8);
  });

  test("knows what greedy decoding would have said", async () => {
    const engine = engineOf();
    const [[said]] = (await engine.generate([ask({ maxNewTokens: 4 })])) as [[Generation]];
    const greedy = [...said!.outputIds];
    const other = [...greedy.slice(0, 3), (greedy[3]! + 1) % 300];
    const [scores] = await engine.score([
      { promptIds: ask().promptIds, continuations: [greedy, other, [greedy[0]!], []] },
    ]);
    expect(scores!.map(({ isGreedy }) => isGreedy)).toEqual([true, false, true, true]);
  });

  test("reports requests as they end, and an aborted call throws the reason", async () => {
    const engine = engineOf();
    const ended: number[] = [];
    await engine.score(requests, { onDone: (index) => ended.push(index) });
    expect(ended.sort()).toEqual([0, 1, 2, 3, 4, 5]);
    const stop = new AbortController();
    const call = engine.score(requests, { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe("requests that make no sense are refused before anything is computed", () => {
  test.each<[string, Partial<GenerationRequest>, string]>([
    ["an empty prompt", { promptIds: [] }, "ERR_PROMPT_EMPTY"],
    ["a prompt as long as the context", { promptIds: Array(256).fill(5) }, "ERR_PROMPT_TOO_LONG"],
    ["an id that the model lacks", { promptIds: [1, 9999] }, "ERR_PROMPT_TOKEN"],
    ["an id that is no number", { promptIds: [1, Number.NaN] }, "ERR_PROMPT_TOKEN"],
    ["no new tokens", { maxNewTokens: 0 }, "ERR_DECODING"],
    ["a temperature below 0", { temperature: -1 }, "ERR_DECODING"],
    ["a temperature that is no number", { temperature: Number.NaN }, "ERR_DECODING"],
    ["top-p 0", { topP: 0 }, "ERR_DECODING"],
    ["half a top-k", { topK: 1.5 }, "ERR_DECODING"],
    ["a negative seed", { seed: -1 }, "ERR_DECODING"],
    ["no samples", { samples: 0 }, "ERR_DECODING"],
    ["an empty stop string", { stop: ["a", ""] }, "ERR_DECODING"],
  ])("%s", async (_, more, code) => {
    await expect(engineOf().generate([ask(more)])).rejects.toMatchObject({ code });
    expect(() => engineOf().stream(ask(more))).toThrow(expect.objectContaining({ code }));
  });

  test("nothing asked is nothing answered", async () => {
    expect(await engineOf().generate([])).toEqual([]);
    expect(await engineOf().score([])).toEqual([]);
    expect(await engineOf().score([{ promptIds: [1], continuations: [] }])).toEqual([[]]);
  });
});
