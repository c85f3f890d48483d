/** The endpoint backend against a server on this machine that misbehaves in every way servers do. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { writeTinyModel } from "../../../../../tests/tiny-model.js";
import { loadTokenizer, type Tokenizer } from "../../tokenizer/tokenizer.js";
import { type Asked, answerAt, type Outcome, textAt } from "../backend.js";
import type { TaskRequest } from "../task.js";
import { type EndpointOptions, endpointBackend } from "./endpoint.js";

const root = mkdtempSync(join(tmpdir(), "camelid-endpoint-"));
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer((await writeTinyModel(join(root, "tiny"))).model);
});
afterAll(() => rmSync(root, { recursive: true }));

interface Call {
  path: string;
  body: Record<string, unknown>;
  at: number;
}
type Reply = (call: Call, response: ServerResponse) => void;

let server: Server;
let calls: Call[];
let reply: Reply;
let running: number;
let mostRunning: number;
beforeEach(async () => {
  [calls, running, mostRunning] = [[], 0, 0];
  reply = (call, response) => json(response, 200, chatReply(`echo ${lastMessage(call)}`));
  server = createServer((request: IncomingMessage, response) => {
    let text = "";
    mostRunning = Math.max(mostRunning, ++running);
    response.on("close", () => running--);
    request.on("data", (chunk) => (text += String(chunk)));
    request.on("end", () => {
      const call = { path: request.url!, body: JSON.parse(text), at: performance.now() };
      calls.push(call);
      reply(call, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const json = (
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
) => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};
const chatReply = (content: string, finish = "stop") => ({
  id: "x",
  object: "chat.completion",
  created: 0,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: finish }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
});
const lastMessage = ({ body }: Call) => (body.messages as { content: string }[]).at(-1)!.content;

function backend(options: Partial<EndpointOptions> = {}) {
  const { port } = server.address() as AddressInfo;
  return endpointBackend({
    endpoint: `http://127.0.0.1:${port}/v1`,
    model: "m",
    pauseMs: 5,
    maxRetries: 2,
    timeoutMs: 400,
    ...options,
  });
}

const question = (content: string, changes: object = {}): TaskRequest =>
  ({
    kind: "generate",
    prompt: { messages: [{ role: "user", content }] },
    maxNewTokens: 7,
    ...changes,
  }) as TaskRequest;

async function ask(
  requests: readonly TaskRequest[],
  to = backend(),
  signal = new AbortController().signal,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const batch = requests.map((request): Asked => ({ request, seed: 2 ** 40 + 3, where: "" }));
  await to.ask(
    batch,
    (index, outcome) => {
      outcomes[index] = outcome;
    },
    signal,
  );
  return outcomes;
}

const texts = (outcomes: readonly Outcome[]) =>
  outcomes.map((one) => ("answer" in one ? textAt([one.answer]) : one.refused.reason));

test("answers come back in their places, never more calls at once than asked for", async () => {
  reply = (call, response) =>
    setTimeout(() => json(response, 200, chatReply(lastMessage(call))), Math.random() * 20);
  const questions = Array.from({ length: 20 }, (_, i) => question(`q${i}`));
  const client = backend({ concurrency: 3 });
  expect(texts(await ask(questions, client))).toEqual(questions.map((_, i) => `q${i}`));
  expect(mostRunning).toBe(3);
  expect(client.stats()).toMatchObject({ requests: 20, prompt_tokens: 200, completion_tokens: 100 });
});

test("decoding settings are the request's; a seed only where something is drawn", async () => {
  await ask([question("a", { stop: ["\n"] }), question("b", { temperature: 0.8, topP: 0.95, samples: 2 })]);
  const [greedy, drawn] = ["a", "b"].map((text) => calls.find((call) => lastMessage(call) === text)!.body);
  expect(greedy).toMatchObject({ model: "m", max_tokens: 7, temperature: 0, stop: ["\n"] });
  expect(greedy).not.toHaveProperty("seed");
  expect(drawn).toMatchObject({ temperature: 0.8, top_p: 0.95, n: 2, seed: 3 });
});

test("overload, broken connections and half answers are tried again", async () => {
  const troubles: Reply[] = [
    (_, response) => json(response, 503, { error: { message: "busy" } }),
    (_, response) => response.destroy(),
    (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end('{"choices": [');
    },
  ];
  for (const trouble of troubles) {
    let first = true;
    reply = (call, response) => {
      if (!first) return json(response, 200, chatReply("fine"));
      first = false;
      trouble(call, response);
    };
    const client = backend();
    expect(texts(await ask([question("a")], client))).toEqual(["fine"]);
    expect(client.stats().retries).toBe(1);
  }
});

test("a rate limit makes all calls wait as long as the server says", async () => {
  let limited = 0;
  reply = (call, response) => {
    if (limited++ === 0) return json(response, 429, { error: { message: "slow" } }, { "retry-after": "0.3" });
    json(response, 200, chatReply(lastMessage(call)));
  };
  const client = backend({ concurrency: 1 });
  expect(texts(await ask([question("a"), question("b")], client))).toEqual(["a", "b"]);
  expect(calls[1]!.at - calls[0]!.at).toBeGreaterThan(290);
  expect(client.stats()).toMatchObject({ rate_limited: 1, retries: 1 });
});

test("a call that hangs is a time-out: tried again, then refused, the others are answered", async () => {
  reply = (call, response) => {
    if (lastMessage(call) !== "hang") json(response, 200, chatReply("fine"));
  };
  const client = backend({ timeoutMs: 60, maxRetries: 1 });
  const outcomes = await ask([question("hang"), question("b")], client);
  expect(outcomes[0]).toMatchObject({
    refused: { reason: "failed", message: expect.stringMatching(/2 tries/) },
  });
  expect(texts(outcomes)[1]).toBe("fine");
  expect(client.stats().failed).toBe(1);
});

test("a prompt that is too long is refused at once, in whatever words the server has", async () => {
  reply = (call, response) =>
    lastMessage(call) === "long"
      ? json(response, 400, { error: { message: "This model's maximum context length is 4096 tokens." } })
      : json(response, 400, { error: { message: "unknown field" } });
  const outcomes = await ask([question("long"), question("odd")], backend({ concurrency: 1 }));
  expect(texts(outcomes)).toEqual(["prompt-too-long", "failed"]);
  expect(calls).toHaveLength(2);
});

test("a wrong key ends all with one error that says where", async () => {
  reply = (_, response) => json(response, 401, { error: { message: "no such key" } });
  const questions = Array.from({ length: 30 }, (_, i) => question(`q${i}`));
  await expect(ask(questions)).rejects.toMatchObject({
    code: "ERR_ENDPOINT",
    message: expect.stringContaining("no such key"),
    where: expect.stringContaining("model m"),
  });
  expect(calls.length).toBeLessThanOrEqual(8);
});

test("a server that is down ends all after a few requests, not after every one was tried to the end", async () => {
  reply = (_, response) => json(response, 500, { error: { message: "broken" } });
  const questions = Array.from({ length: 100 }, (_, i) => question(`q${i}`));
  await expect(ask(questions, backend({ concurrency: 1, maxRetries: 0 }))).rejects.toMatchObject({
    code: "ERR_ENDPOINT",
  });
  expect(calls).toHaveLength(5);
});

test("an abort stops, and what was not answered stays unanswered", async () => {
  const controller = new AbortController();
  reply = (call, response) => {
    if (lastMessage(call) === "q1") controller.abort();
    else json(response, 200, chatReply("fine"));
  };
  const questions = Array.from({ length: 10 }, (_, i) => question(`q${i}`));
  const outcomes = await ask(questions, backend({ concurrency: 1 }), controller.signal);
  expect(texts([outcomes[0]!])).toEqual(["fine"]);
  expect(outcomes.filter((one) => one !== undefined)).toHaveLength(1);
});

test("the beginning of an answer is left out, or continued where the server can", async () => {
  const started = question("a", {
    prompt: { messages: [{ role: "user", content: "a" }], prefix: "Answer:" },
  });
  await ask([started]);
  expect(calls[0]!.body).not.toHaveProperty("continue_final_message");
  await ask([started], backend({ prefix: "continue" }));
  expect(calls[1]!.body).toMatchObject({ continue_final_message: true, add_generation_prompt: false });
  expect(lastMessage(calls[1]!)).toBe("Answer:");
});

test("completions get the token ids that our engine would get", async () => {
  reply = ({ body }, response) =>
    json(response, 200, {
      choices: [{ text: ` ${(body.prompt as number[]).length}`, index: 0, finish_reason: "length" }],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    });
  const [outcome] = await ask([question("a camel?")], backend({ api: "completions", tokenizer }));
  const text = "<|user|>\na camel?\n<|assistant|>\n";
  const ids = await tokenizer.encode(text, { addSpecialTokens: true });
  expect(calls[0]).toMatchObject({ path: "/v1/completions", body: { prompt: ids, max_tokens: 7 } });
  expect(outcome).toMatchObject({
    answer: { samples: [{ text: ` ${ids.length}`, finishReason: "length" }] },
  });
});

test("texts are scored by the echo of their log-probabilities", async () => {
  reply = ({ body }, response) => {
    const ids = body.prompt as number[];
    json(response, 200, {
      choices: [
        {
          text: "",
          index: 0,
          finish_reason: "length",
          logprobs: {
            tokens: [],
            text_offset: [],
            token_logprobs: [null, ...ids.slice(1).map((id) => -id / 100), -9],
            top_logprobs: [null, ...ids.slice(1).map(() => ({ other: -0.001 })), {}],
          },
        },
      ],
    });
  };
  const request: TaskRequest = {
    kind: "score",
    prompt: { text: "a red" },
    continuations: [" camel", " llama"],
  };
  const [outcome] = await ask([request], backend({ api: "completions", tokenizer }));
  if (!("answer" in outcome!)) return expect.fail("refused");
  const { scores } = answerAt([outcome.answer], 0, "score");
  const prompt = await tokenizer.encode("a red", { addSpecialTokens: true });
  for (const [i, continuation] of [" camel", " llama"].entries()) {
    const own = (await tokenizer.encode(`a red${continuation}`, { addSpecialTokens: true })).slice(
      prompt.length,
    );
    expect(scores[i]!.logp).toBeCloseTo(-own.reduce((sum, id) => sum + id, 0) / 100, 10);
    expect(scores[i]!.isGreedy).toBe(false);
  }
  expect(calls[0]!.body).toMatchObject({ echo: true, logprobs: 1, max_tokens: 1 });
});

test("chat endpoints refuse what they cannot answer", async () => {
  const outcomes = await ask([
    { kind: "score", prompt: { text: "a" }, continuations: ["b"] },
    { kind: "generate", prompt: { text: "def f():" }, maxNewTokens: 3 },
  ]);
  expect(texts(outcomes)).toEqual(["unsupported", "unsupported"]);
  expect(backend().canScore).toBe(false);
});

test("the cost is counted by the price", async () => {
  const client = backend({ price: [2, 10] });
  await ask([question("a")], client);
  expect(client.stats().cost_usd).toBeCloseTo((10 * 2 + 5 * 10) / 1e6, 12);
});
