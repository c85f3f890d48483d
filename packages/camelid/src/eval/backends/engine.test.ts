import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TinyModel, writeTinyModel } from "../../../../../tests/tiny-model.js";
import { createEngine } from "../../generate/engine.js";
import type { Engine } from "../../generate/requests.js";
import type { LanguageModel } from "../../model/language-model.js";
import { loadModel } from "../../model/load.js";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/tokenizer.js";
import { type Asked, answerAt, type Backend, type Outcome } from "../backend.js";
import { rowLogprobs } from "../row-logprobs.js";
import type { Answer, TaskRequest } from "../task.js";
import { engineBackend } from "./engine.js";
import { promptRenderer } from "./render.js";

const root = mkdtempSync(join(tmpdir(), "camelid-engine-backend-"));
let tiny: TinyModel;
let model: LanguageModel;
let tokenizer: Tokenizer;
let engine: Engine;
let backend: Backend;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"));
  model = loadModel(tiny.model);
  tokenizer = await loadTokenizer(tiny.model);
  engine = createEngine(model, tokenizer);
  backend = engineBackend({ engine, name: "tiny", identity: "tiny", profile: "standard" });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  model[Symbol.dispose]();
  rmSync(root, { recursive: true });
});

async function ask(requests: readonly TaskRequest[], to: Backend = backend): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const batch = requests.map((request, i): Asked => ({ request, seed: i, where: `item ${i}` }));
  await to.ask(
    batch,
    (index, outcome) => {
      outcomes[index] = outcome;
    },
    new AbortController().signal,
  );
  return outcomes;
}

const answersOf = (outcomes: readonly Outcome[]): Answer[] =>
  outcomes.map((outcome) => ("answer" in outcome ? outcome.answer : expect.fail(outcome.refused.message)));

/** log p of the tokens of `whole` beyond its first `from`, computed by the function training uses. */
function logpBeyond(whole: ArrayLike<number>, from: number): number {
  const [row] = rowLogprobs(model, [{ inputIds: whole, labels: whole }]);
  return row!.tokenLogps.slice(from - 1).reduce((sum, logp) => sum + logp, 0);
}

test("prompts of a conversation are those of whole-text encoding, the answer's beginning included", async () => {
  const renderer = promptRenderer(tokenizer, "standard");
  const prompt = { messages: [{ role: "user", content: "a camel?" } as const], prefix: "Answer:" };
  const text = "<|user|>\na camel?\n<|assistant|>\nAnswer:";
  expect(renderer.text(prompt)).toBe(text);
  const [ids] = await renderer.ids([{ prompt }]);
  expect([...ids!]).toEqual(await tokenizer.encode(text, { addSpecialTokens: true }));
});

test("only the paper leaves users' white space and reads special tokens in their texts", async () => {
  const prompt = { messages: [{ role: "user", content: " a</s> \n" } as const] };
  expect(promptRenderer(tokenizer, "standard").text(prompt)).toBe("<|user|>\na</s>\n<|assistant|>\n");
  const paper = promptRenderer(tokenizer, "tulu2-paper");
  expect(paper.text(prompt)).toBe("<|user|>\n a</s> \n\n<|assistant|>\n");
  const eos = tokenizer.eosTokenId!;
  expect([...(await paper.ids([{ prompt }]))[0]!]).toContain(eos);
  expect([...(await promptRenderer(tokenizer, "standard").ids([{ prompt }]))[0]!]).not.toContain(eos);
});

test("continuations are scored as the tokens they add to the prompt", async () => {
  const continuations = [" camel", " llama grass", "s"];
  const [answer] = answersOf(await ask([{ kind: "score", prompt: { text: "a red" }, continuations }]));
  const { scores } = answerAt([answer!], 0, "score");
  const promptLength = (await tokenizer.encode("a red", { addSpecialTokens: true })).length;
  for (const [i, continuation] of continuations.entries()) {
    const whole = await tokenizer.encode(`a red${continuation}`, { addSpecialTokens: true });
    expect(scores[i]!.logp).toBeCloseTo(logpBeyond(whole, promptLength), 4);
    expect(scores[i]!.tokens).toBe(whole.length - promptLength);
  }
});

test("a token across the border belongs to the continuation, which then begins earlier", async () => {
  // Whatever the vocabulary merges, prompt and continuation together are the whole text's tokens.
  const words = ["camel", "guanaco", "vicuna"];
  for (const word of words) {
    const [head, tail] = [word.slice(0, 3), word.slice(3)];
    const [answer] = answersOf(await ask([{ kind: "score", prompt: { text: head }, continuations: [tail] }]));
    const [score] = answerAt([answer!], 0, "score").scores;
    const whole = await tokenizer.encode(word, { addSpecialTokens: true });
    const prompt = await tokenizer.encode(head, { addSpecialTokens: true });
    let shared = 0;
    while (shared < prompt.length && prompt[shared] === whole[shared]) shared++;
    const border = Math.min(shared, whole.length - 1);
    expect(score!.tokens).toBe(whole.length - border);
    expect(score!.logp).toBeCloseTo(logpBeyond(whole, border), 4);
  }
});

test("last: one token, the last of the continuation by itself", async () => {
  const continuations = [" A", " B"];
  const request: TaskRequest = { kind: "score", prompt: { text: "a red" }, continuations, tokens: "last" };
  const [answer] = answersOf(await ask([request]));
  const prompt = await tokenizer.encode("a red", { addSpecialTokens: true });
  for (const [i, continuation] of continuations.entries()) {
    const last = (await tokenizer.encode(continuation)).at(-1)!;
    const { logp, tokens } = answerAt([answer!], 0, "score").scores[i]!;
    expect(logp).toBeCloseTo(logpBeyond([...prompt, last], prompt.length), 4);
    expect(tokens).toBe(1);
  }
});

test("a text longer than the context is scored in windows, every token but the first once", async () => {
  const text = "a camel walks over the hill and a llama drinks water. ".repeat(20);
  const ids = await tokenizer.encode(text, { addSpecialTokens: true });
  expect(ids.length).toBeGreaterThan(model.config.maxPositionEmbeddings);
  const [plain, overlapping] = answersOf(
    await ask([
      { kind: "text", text },
      { kind: "text", text, window: 64, overlap: 32 },
    ]),
  ).map((_, i, all) => answerAt(all, i, "text"));
  expect(plain!.tokens).toBe(ids.length - 1);
  expect(overlapping!.tokens).toBe(ids.length - 1);

  // The same windows by hand: 64 tokens each, of which 32 were in the one before.
  let expected = logpBeyond(ids.slice(0, 64), 1);
  for (let at = 64; at < ids.length; at += 32) expected += logpBeyond(ids.slice(at - 32, at + 32), 32);
  expect(overlapping!.logp).toBeCloseTo(expected, 2);
});

test("what does not fit is refused with its length, the rest is answered", async () => {
  const long = "camel ".repeat(400);
  const outcomes = await ask([
    { kind: "generate", prompt: { text: long }, maxNewTokens: 4 },
    { kind: "generate", prompt: { text: "a" }, maxNewTokens: 4 },
    { kind: "score", prompt: { text: long }, continuations: ["x"] },
    { kind: "classify", text: "a", to: "classifier" },
  ]);
  expect(outcomes.map((one) => ("refused" in one ? one.refused.reason : one.answer.kind))).toEqual([
    "prompt-too-long",
    "generate",
    "prompt-too-long",
    "unsupported",
  ]);
  expect(outcomes[0]).toMatchObject({
    refused: { message: expect.stringMatching(/item 0: \d+ tokens.* 256/) },
  });
});

test("keys tell prompts and decoding apart, and seeds only where something is drawn", async () => {
  const asked = (changes: object, seed = 1): Asked => ({
    request: { kind: "generate", prompt: { text: "a" }, maxNewTokens: 4, ...changes } as TaskRequest,
    seed,
    where: "",
  });
  const [one, same, longer, drawn, redrawn, other] = await backend.keys!([
    asked({}),
    asked({}, 2),
    asked({ maxNewTokens: 5 }),
    asked({ temperature: 1 }),
    asked({ temperature: 1 }, 2),
    asked({ prompt: { text: "b" } }),
  ]);
  expect(same).toBe(one);
  expect(new Set([one, longer, drawn, redrawn, other]).size).toBe(5);
});

test("greedy texts, samples and their counts", async () => {
  const outcomes = await ask([
    { kind: "generate", prompt: { text: "a camel" }, maxNewTokens: 5 },
    {
      kind: "generate",
      prompt: { text: "a camel" },
      maxNewTokens: 5,
      temperature: 1,
      samples: 3,
      topLogprobs: 2,
    },
  ]);
  const [greedy, drawn] = answersOf(outcomes).map((_, i, all) => answerAt(all, i, "generate"));
  expect(greedy!.samples).toHaveLength(1);
  expect(greedy!.promptTokens).toBe((await tokenizer.encode("a camel", { addSpecialTokens: true })).length);
  expect(drawn!.samples).toHaveLength(3);
  expect(Object.values(drawn!.samples[0]!.firstLogprobs ?? {}).length).toBeGreaterThanOrEqual(1);
});
