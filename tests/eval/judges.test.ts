/** Judged tasks from items to scores, with a judge that is a server on this machine and behaves as judges do. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Backend, Outcome } from "../../packages/camelid/src/eval/backend.js";
import { type EvaluateOptions, evaluate } from "../../packages/camelid/src/eval/evaluate.js";
import type { GenerateRequest } from "../../packages/camelid/src/eval/task.js";
import { parityPath } from "../parity/reference.js";
import { writeTinyModel } from "../tiny-model.js";
import { writeJudgedData } from "./judged-data.js";

const root = mkdtempSync(join(tmpdir(), "camelid-judges-"));
afterAll(() => rmSync(root, { recursive: true }));
let data: string;
beforeAll(() => {
  data = writeJudgedData(join(root, "data"));
});

interface Call {
  path: string;
  /** Contents of the messages, or the text. */
  prompt: string[];
  body: Record<string, unknown>;
}
let server: Server;
let calls: Call[];
let reply: (call: Call, response: ServerResponse) => void;
let url: string;
let outs = 0;
beforeEach(async () => {
  calls = [];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += String(chunk)));
    request.on("end", () => {
      const body = JSON.parse(text);
      const prompt =
        body.prompt === undefined ? body.messages.map((m: { content: string }) => m.content) : [body.prompt];
      const call = { path: request.url!, prompt, body };
      calls.push(call);
      reply(call, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const send = (
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
) => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};
const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
const say = (response: ServerResponse, content: string) =>
  send(response, 200, {
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage,
  });
const ranks = (first: number) =>
  `[{'model': 'model_1', 'rank': ${first}}, {"model": "model_2", "rank": ${3 - first}}]`;

/** A model that says what `answer` makes of its prompt. */
function model(answer: (prompt: string) => string): { backend: Backend; chat: true; asked: string[] } {
  const asked: string[] = [];
  const backend: Backend = {
    name: "a model",
    identity: `model of test ${outs}`,
    canScore: false,
    async ask(batch, onOutcome) {
      batch.forEach(({ request }, index) => {
        const { prompt } = request as GenerateRequest;
        const text = "text" in prompt ? prompt.text : prompt.messages.at(-1)!.content;
        asked.push(text);
        const sample = { text: answer(text), finishReason: "stop", tokens: 1 } as const;
        onOutcome(index, { answer: { kind: "generate", samples: [sample] } } as Outcome);
      });
    },
    stats: () => ({}),
    async [Symbol.asyncDispose]() {},
  };
  return { backend, chat: true, asked };
}

const run = (options: Partial<EvaluateOptions> & Pick<EvaluateOptions, "tasks" | "model">) =>
  evaluate({
    out: join(root, `out-${++outs}`),
    data: [data],
    profile: "tulu2-paper",
    roles: {
      judge: { endpoint: url, model: "gpt-4-0613" },
      truth: { endpoint: url, model: "t" },
      info: { endpoint: url, model: "i" },
    },
    ...options,
  });
const predictions = (out: string, task: string) =>
  readFileSync(join(out, `${task}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("AlpacaEval: a judge that always prefers the model gives 100 %, whichever place it stands in", async () => {
  reply = ({ prompt }, response) => say(response, ranks(prompt[1]!.includes("1: mine") ? 1 : 2));
  for (const profile of ["tulu2-paper", "standard"] as const) {
    const { metrics } = await run({ tasks: ["alpaca-eval"], model: model(() => "mine"), profile });
    expect(metrics.tasks["alpaca-eval"]).toMatchObject({ score: 100 });
  }
  expect(calls).toHaveLength(4 + 8); // one order, then both
  expect(calls[0]!.body).toMatchObject({ model: "gpt-4-0613", temperature: 0, max_tokens: 100 });
});

test("a judge that prefers the first place is worth one half in both orders", async () => {
  reply = (_, response) => say(response, ranks(1));
  const { metrics } = await run({ tasks: ["alpaca-eval"], model: model(() => "mine"), profile: "standard" });
  expect(metrics.tasks["alpaca-eval"]).toMatchObject({ score: 50, metrics: { "draws %": 100 } });
});

test("nonsense is counted and never scored; equal answers are a draw without a judge", async () => {
  const nonsense = ["Both are nice.", "[{'model': 'model_1', 'rank': 3}]", "__import__('os')", ""];
  reply = (_, response) => say(response, nonsense[(calls.length - 1) % nonsense.length]!);
  const out = join(root, "nonsense");
  const answers = (prompt: string) => (prompt.includes("4") ? "reference 4" : "mine");
  const { metrics } = await run({ tasks: ["alpaca-eval"], model: model(answers), out });
  const summary = metrics.tasks["alpaca-eval"]!;
  expect(summary).toMatchObject({ score: 50, graded: 1 });
  const verdicts = predictions(out, "alpaca-eval").map((line) => line.verdict);
  expect(verdicts).toEqual(["failed", "failed", "failed", "wrong"]); // a draw is no win, and counts one half
  expect(calls).toHaveLength(3);
});

test("verdicts are kept: asked again, the judge hears nothing, and the cost is counted once", async () => {
  reply = (_, response) => say(response, ranks(2));
  const out = join(root, "kept");
  const same = model(() => "mine");
  const first = await run({ tasks: ["alpaca-eval"], model: same, out });
  expect(first.metrics.counters!["alpaca-eval.judge"]).toMatchObject({
    requests: 4,
    prompt_tokens: 400,
    completion_tokens: 80,
    cost_usd: (400 * 30 + 80 * 60) / 1e6,
  });
  const second = await run({ tasks: ["alpaca-eval"], model: same, out });
  expect(calls).toHaveLength(4);
  expect(second.metrics.tasks["alpaca-eval"]!.score).toBe(first.metrics.tasks["alpaca-eval"]!.score);
  await run({
    tasks: ["alpaca-eval"],
    model: same,
    out,
    roles: { judge: { endpoint: url, model: "another" } },
  });
  expect(calls).toHaveLength(8); // verdicts belong to their judge
});

test("a judge that limits the rate and breaks off is asked again", async () => {
  reply = (_, response) => {
    if (calls.length === 1)
      return send(response, 429, { error: { message: "slow down" } }, { "retry-after-ms": "20" });
    if (calls.length === 2) return void response.destroy();
    if (calls.length === 3)
      return send(response, 500, { error: { message: "oops" } }, { "retry-after-ms": "5" });
    say(response, ranks(1));
  };
  const { metrics } = await run({ tasks: ["alpaca-eval"], model: model(() => "mine"), concurrency: 1 });
  expect(metrics.tasks["alpaca-eval"]).toMatchObject({ graded: 4 });
  expect(metrics.counters!["alpaca-eval.judge"]).toMatchObject({ rate_limited: 1, retries: 3 });
});

test("a judge with a wrong key stops the evaluation, says so, and the model's answers are kept", async () => {
  reply = (_, response) => send(response, 401, { error: { message: "Incorrect API key" } });
  const out = join(root, "wrong-key");
  const asked = model(() => "mine");
  await expect(run({ tasks: ["alpaca-eval"], model: asked, out })).rejects.toThrow(/Incorrect API key/);
  expect(existsSync(join(out, "metrics.json"))).toBe(false);
  expect(asked.asked).toHaveLength(4);
  reply = (_, response) => say(response, ranks(1));
  await run({ tasks: ["alpaca-eval"], model: asked, out });
  expect(asked.asked).toHaveLength(4); // not asked again
});

test("without a judge, or without its key, it is said how to name one", async () => {
  const alpaca = { tasks: ["alpaca-eval"], model: model(() => "mine") };
  await expect(run({ ...alpaca, roles: {} })).rejects.toThrow(
    expect.objectContaining({ code: "ERR_EVAL_JUDGE" }),
  );
  const judge = { endpoint: url, model: "m", apiKeyEnv: "NO_SUCH_KEY_FOR_CAMELID" };
  await expect(run({ ...alpaca, roles: { judge } })).rejects.toThrow(/NO_SUCH_KEY_FOR_CAMELID/);
});

test("an option that a task would not look at is refused before anybody is asked", async () => {
  const asked = model(() => "mine");
  const settings = { "alpaca-eval": { swpa: "both" } };
  await expect(run({ tasks: ["alpaca-eval"], model: asked, settings })).rejects.toThrow(
    expect.objectContaining({ code: "ERR_EVAL_OPTION", fix: expect.stringMatching(/did you mean "swap"/) }),
  );
  const value = { "alpaca-eval": { swap: "sometimes" } };
  await expect(run({ tasks: ["alpaca-eval"], model: asked, settings: value })).rejects.toThrow(/sometimes/);
  expect(asked.asked).toEqual([]);
});

test("a dry run writes the judge's prompts for stored answers and estimates the cost, asking nobody", async () => {
  const outputs = join(root, "outputs.json");
  const rows = [1, 2, 3, 4].map((n) => ({ instruction: `Say the number ${n}.`, output: "stored" }));
  writeFileSync(outputs, JSON.stringify(rows));
  const out = join(root, "dry");
  const settings = { "alpaca-eval": { outputs } };
  const asked = model(() => "mine");
  const { metrics } = await run({ tasks: ["alpaca-eval"], model: asked, out, settings, dryRun: true });
  expect([calls.length, asked.asked.length]).toEqual([0, 0]);
  expect(readFileSync(join(out, "alpaca-eval.dry-run.jsonl"), "utf8")).toContain("2: stored");
  const counters = metrics.counters!["alpaca-eval.judge"]!;
  expect(counters).toMatchObject({ requests: 4, most_completion_tokens: 400 });
  expect(counters.most_cost_usd).toBeCloseTo((counters.estimated_prompt_tokens! * 30 + 400 * 60) / 1e6);
});

test("stored answers cut in the middle, or missing, are an error or a remark", async () => {
  const outputs = join(root, "cut.json");
  writeFileSync(outputs, '[{"instruction": "Say the number 1.", "outp');
  const settings = { "alpaca-eval": { outputs } };
  const alpaca = { tasks: ["alpaca-eval"], model: model(() => "mine"), settings };
  await expect(run(alpaca)).rejects.toThrow(expect.objectContaining({ code: "ERR_EVAL_OUTPUTS" }));
  writeFileSync(outputs, JSON.stringify([{ instruction: "Say the number 1.", output: "x" }]));
  reply = (_, response) => say(response, ranks(1));
  const { metrics } = await run(alpaca);
  expect(metrics.tasks["alpaca-eval"]).toMatchObject({
    graded: 1,
    notes: [expect.stringContaining("does not answer")],
  });
});

test("MT-Bench: a missing rating leaves out that turn alone; categories and turns are listed", async () => {
  reply = ({ prompt }, response) => {
    if (prompt[0] === "system of single-v1-multi-turn") return say(response, "I like it.");
    say(response, prompt[0]!.includes("math") ? "Fine. Rating: [[8.5]]" : "Rating: [[3]]");
  };
  const { metrics } = await run({ tasks: ["mt-bench"], model: model((text) => `<${text.length}>`) });
  expect(metrics.tasks["mt-bench"]).toMatchObject({
    score: (3 + 8.5 + 8.5) / 3,
    metrics: { "turn 1": 5.75, "turn 2": 8.5, writing: 3, math: 8.5 },
  });
  // The dialogue that is judged is the one that was held.
  expect(calls.find(({ prompt }) => prompt[0] === "system of single-v1-multi-turn")!.prompt[1]).toMatch(
    /Q Write a line\.\nA <\d+>\nQ Write it again\.\nA <\d+>/,
  );
});

test("TruthfulQA: the probability of yes decides, over /completions", async () => {
  const logprobs = (yes: number) => ({ top_logprobs: [{ " yes": Math.log(yes), " no": Math.log(1 - yes) }] });
  reply = ({ body }, response) =>
    send(response, 200, {
      choices: [
        {
          index: 0,
          text: " yes",
          finish_reason: "length",
          logprobs: logprobs(body.model === "t" ? 0.6 : 0.4),
        },
      ],
      usage,
    });
  const { metrics } = await run({ tasks: ["truthfulqa"], model: model(() => "They rest.") });
  expect(metrics.tasks.truthfulqa).toMatchObject({
    score: 0,
    metrics: { "true %": 100, "informative %": 0 },
  });
  expect(calls.map(({ path, prompt }) => [path, prompt[0]])).toEqual([
    ["/v1/completions", "Q: Do fish sleep?\nA: They rest.\nTrue:"],
    ["/v1/completions", "Q: Do fish sleep?\nA: They rest.\nHelpful:"],
  ]);
});

test("TruthfulQA: a chat model as judge says yes or no; anything else is no verdict", async () => {
  const settings = { truthfulqa: { judgeApi: "chat" } };
  reply = (_, response) => say(response, "Yes");
  const truthful = { tasks: ["truthfulqa"], model: model(() => "They rest."), settings };
  expect((await run(truthful)).metrics.tasks.truthfulqa).toMatchObject({ score: 100 });
  reply = (_, response) => say(response, "Perhaps");
  expect((await run(truthful)).metrics.tasks.truthfulqa).toMatchObject({ graded: 0 });
});

test("a model folder of ours is a judge too: its first token's probabilities are asked for", async () => {
  const { model: folder } = await writeTinyModel(join(root, "tiny"));
  const out = join(root, "folder-judge");
  const roles = { truth: { model: folder }, info: { model: folder } };
  const { metrics } = await run({ tasks: ["truthfulqa"], model: model(() => "They rest."), roles, out });
  // A random model says neither yes nor no.
  expect(metrics.tasks.truthfulqa).toMatchObject({ items: 1, graded: 0 });
  const [prediction] = predictions(out, "truthfulqa");
  expect(prediction.verdict).toBe("failed");
  const judged = prediction.answers[1].samples[0];
  expect(Object.keys(judged.firstLogprobs).length).toBeGreaterThan(1);
  expect(Object.values(judged.firstLogprobs).every((logp) => (logp as number) < 0)).toBe(true);
});

test("ToxiGen: continuations through the classifier, groups listed", async () => {
  const roles = { classifier: { model: parityPath("roberta/fixtures/model") } };
  const settings = { toxigen: { perGroup: "3" } };
  const { metrics } = await run({
    tasks: ["toxigen"],
    model: model(() => "people like them"),
    roles,
    settings,
  });
  // The tiny classifier finds everything benign.
  expect(metrics.tasks.toxigen).toMatchObject({ score: 0, graded: 6, metrics: { asian: 0, black: 0 } });
});

test("Codex-Eval and MBPP: programs run, and what happened to each sample is written down", async () => {
  const out = join(root, "code");
  const answers = (prompt: string) => {
    if (prompt.includes("double")) return "    return x + x\n";
    return prompt.includes("triple") ? "def triple(x):\n    return 3 * x" : "    return 2\n";
  };
  const { metrics } = await run({
    tasks: ["codex-eval", "mbpp"],
    model: model(answers),
    out,
    settings: { "codex-eval": { k: "1" } },
  });
  expect(metrics.tasks["codex-eval"]).toMatchObject({ score: 50, metrics: { "pass@1": 50 } });
  expect(metrics.tasks.mbpp).toMatchObject({ score: 100, notes: [expect.stringMatching(/1 of the 500/)] });
  const [, wrong] = predictions(out, "codex-eval");
  expect(JSON.stringify(wrong)).toContain("AssertionError");
});
