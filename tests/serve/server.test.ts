/** The server as its clients see it: OpenAI's own client, and clients that behave badly. */

import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  createEngine,
  type Engine,
  type LanguageModel,
  loadModel,
  loadTokenizer,
  renderPrompt,
} from "camelid";
import OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type ModelServer,
  type ServeSettings,
  startServer,
} from "../../packages/camelid/src/serve/server.js";
import { writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-serve-"));
let model: LanguageModel;
let engine: Engine;
let server: ModelServer;
let client: OpenAI;
beforeAll(async () => {
  torch.setNumThreads(1);
  const tiny = await writeTinyModel(join(root, "tiny"));
  model = loadModel(tiny.model);
  engine = createEngine(model, await loadTokenizer(tiny.model), { maxSequences: 4 });
  server = await start();
  client = clientOf(server);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
  model[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

const start = (settings: Partial<ServeSettings> = {}): Promise<ModelServer> =>
  startServer({ engines: new Map([["tiny", engine]]), port: 0, ...settings });
const clientOf = ({ url }: ModelServer, apiKey = "none"): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

const messages = [{ role: "user" as const, content: "What do camels eat?" }];
const ask = { model: "tiny", messages, max_tokens: 12, temperature: 0 };
const post = (body: unknown, headers: Record<string, string> = {}, at: ModelServer = server) =>
  fetch(`${at.url}/v1/chat/completions`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

async function greedyText(maxNewTokens: number): Promise<string> {
  const promptIds = await renderPrompt(messages, engine.tokenizer);
  return (await engine.generate([{ promptIds, maxNewTokens }]))[0]![0]!.text;
}

describe("OpenAI's client", () => {
  test("lists the models", async () => {
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(["tiny"]);
  });

  test("gets the engine's own greedy answer", async () => {
    const answer = await client.chat.completions.create(ask);
    expect(answer.choices[0]!.message).toMatchObject({ role: "assistant", content: await greedyText(12) });
    expect(answer.choices[0]!.finish_reason).toBe("length");
    const prompt = await renderPrompt(messages, engine.tokenizer);
    expect(answer.usage).toEqual({
      prompt_tokens: prompt.length,
      completion_tokens: 12,
      total_tokens: prompt.length + 12,
    });
  });

  test("streams the same text piece by piece, then the usage", async () => {
    const stream = await client.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let pieces = 0;
    let finish: string | null | undefined;
    let total: number | undefined;
    for await (const { choices, usage } of stream) {
      text += choices[0]?.delta.content ?? "";
      finish = choices[0]?.finish_reason ?? finish;
      pieces++;
      total = usage?.completion_tokens ?? total;
    }
    expect(text).toBe(await greedyText(12));
    expect(pieces).toBeGreaterThan(3);
    expect(finish).toBe("length");
    expect(total).toBe(12);
  });

  test("log-probabilities are those of the scorer, the chosen token among the best", async () => {
    const answer = await client.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 3 });
    const entries = answer.choices[0]!.logprobs!.content!;
    expect(entries).toHaveLength(12);
    const promptIds = await renderPrompt(messages, engine.tokenizer);
    const generations = await engine.generate([{ promptIds, maxNewTokens: 12 }]);
    const continuations = [generations[0]![0]!.outputIds];
    const score = (await engine.score([{ promptIds, continuations }]))[0]![0]!;
    entries.forEach((entry, i) => {
      expect(entry.logprob).toBeCloseTo(score.tokenLogps[i]!, 4);
      expect(entry.top_logprobs).toHaveLength(3);
      expect(entry.top_logprobs[0]!.logprob).toBeCloseTo(entry.logprob, 5);
    });
  });

  test("the same seed draws the same, another seed another text", async () => {
    const draw = async (seed: number): Promise<string> => {
      const answer = await client.chat.completions.create({ ...ask, temperature: 1, seed, max_tokens: 24 });
      return answer.choices[0]!.message.content!;
    };
    expect(await draw(7)).toBe(await draw(7));
    expect(await draw(7)).not.toBe(await draw(8));
  });

  test("several choices, and several prompts of a completion, are numbered", async () => {
    const chat = await client.chat.completions.create({ ...ask, temperature: 1, n: 3 });
    expect(chat.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    const texts = await client.completions.create({
      model: "tiny",
      prompt: ["Camels", "Hills"],
      n: 2,
      temperature: 1,
      max_tokens: 4,
    });
    expect(texts.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });

  test("a stop string ends the text before itself", async () => {
    const whole = await greedyText(12);
    const stop = whole.slice(3, 5);
    const answer = await client.chat.completions.create({ ...ask, stop });
    expect(answer.choices[0]!.message.content).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(answer.choices[0]!.finish_reason).toBe("stop");
  });

  test("a completion continues plain text and token ids alike", async () => {
    const ids = await engine.tokenizer.encode("Camels walk", { addSpecialTokens: true });
    const create = (prompt: string | number[]) =>
      client.completions.create({ model: "tiny", prompt, temperature: 0, logprobs: 2 });
    const [fromText, fromIds] = [await create("Camels walk"), await create(ids)];
    expect(fromText.choices[0]!.text).toBe(fromIds.choices[0]!.text);
    expect(fromText.usage!.completion_tokens).toBe(16);
    const { tokens, text_offset, top_logprobs } = fromText.choices[0]!.logprobs!;
    expect(tokens).toHaveLength(16);
    expect(text_offset![0]).toBe(0);
    expect(Object.keys(top_logprobs![0]!)).toHaveLength(2);
  });

  test("a special token that a user types is text, not an end", async () => {
    const typed = [{ role: "user" as const, content: "</s>" }];
    const ids = await renderPrompt(typed, engine.tokenizer);
    expect([...ids]).not.toContain(engine.tokenizer.eosTokenId);
    const answer = await client.chat.completions.create({ ...ask, messages: typed });
    expect(answer.usage!.prompt_tokens).toBe(ids.length);
  });

  test("twelve clients at once get what each gets alone", async () => {
    const questions = Array.from({ length: 12 }, (_, i) => [
      { role: "user" as const, content: `Question ${i}: ${"why ".repeat(i)}?` },
    ]);
    const create = (question: (typeof questions)[number]) =>
      client.chat.completions.create({ ...ask, messages: question });
    const together = await Promise.all(questions.map(create));
    for (const [i, question] of questions.entries()) {
      const alone = await create(question);
      expect(together[i]!.choices[0]!.message.content).toBe(alone.choices[0]!.message.content);
    }
  });
});

describe("what is refused, with the reason", () => {
  const refused = async (response: Response) => ({
    status: response.status,
    ...((await response.json()) as { error: { message: string; code: string; param: string | null } }).error,
  });

  test.each([
    ["no JSON", "{", 400, /not valid JSON/],
    ["an unknown model", { ...ask, model: "huge" }, 404, /no model "huge"; here: tiny/],
    ["no messages", { model: "tiny", messages: [] }, 400, /messages/],
    [
      "a role that does not exist",
      { ...ask, messages: [{ role: "judge", content: "x" }] },
      400,
      /messages\.0/,
    ],
    [
      "an answer to nobody",
      { ...ask, messages: [{ role: "assistant", content: "x" }] },
      400,
      /user speaks last/,
    ],
    ["tools", { ...ask, tools: [{ type: "function" }] }, 400, /calling tools is not supported/],
    [
      "calls of tools in a message",
      { ...ask, messages: [{ role: "assistant", content: "", tool_calls: [{}] }] },
      400,
      /calling tools is not supported/,
    ],
    [
      "a picture",
      { ...ask, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
      400,
      /messages\.0\.content: expected text/,
    ],
    [
      "half of a surrogate pair",
      { ...ask, messages: [{ role: "user", content: "\ud800" }] },
      400,
      /messages\.0\.content: .*not text/,
    ],
    ["the best tokens without log-probabilities", { ...ask, top_logprobs: 2 }, 400, /needs logprobs: true/],
    ["penalties", { ...ask, frequency_penalty: 0.5 }, 400, /penalties are not supported/],
    ["a temperature below 0", { ...ask, temperature: -1 }, 400, /temperature/],
    [
      "a prompt beyond the context",
      { ...ask, messages: [{ role: "user", content: "a ".repeat(2000) }] },
      400,
      /context/,
    ],
  ])("%s", async (_, body, status, message) => {
    const refusal = await refused(await post(body));
    expect(refusal.status).toBe(status);
    expect(refusal.message).toMatch(message);
    expect(refusal.code).toBeTruthy();
  });

  test("penalties of zero and empty tools are what everybody sends", async () => {
    const response = await post({ ...ask, frequency_penalty: 0, presence_penalty: 0, tools: [], user: "me" });
    expect(response.status).toBe(200);
  });

  test("a huge body", async () => {
    await using small = await start({ maxBodyBytes: 1000 });
    const { status, code } = await refused(await post({ ...ask, user: "x".repeat(2000) }, {}, small));
    expect([status, code]).toEqual([413, "body_too_large"]);
  });

  test("a page of another site, and a name that is not ours", async () => {
    expect((await post(ask, { origin: "https://evil.example" })).status).toBe(403);
    expect((await post(ask, { origin: server.url })).status).toBe(200);
    const answer = await raw(`GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 421/);
  });

  test("a missing or wrong key", async () => {
    await using locked = await start({ key: "secret" });
    await expect(clientOf(locked, "guess").models.list()).rejects.toThrow(/401/);
    expect((await clientOf(locked, "secret").models.list()).data).toHaveLength(1);
    expect((await fetch(`${locked.url}/health`)).status).toBe(200);
    expect((await fetch(`${locked.url}/metrics`)).status).toBe(401);
  });

  test("an address beyond loopback without a key", async () => {
    await expect(start({ host: "0.0.0.0" })).rejects.toThrow(/anybody who reaches this machine/);
  });

  test("one request more than there are places", async () => {
    await using narrow = await start({ maxRequests: 2 });
    const slow = { ...ask, max_tokens: 200, stop: ["never said"] };
    const statuses = await Promise.all([1, 2, 3, 4].map(async () => (await post(slow, {}, narrow)).status));
    expect(statuses.filter((status) => status === 200)).toHaveLength(2);
    expect(statuses.filter((status) => status === 429)).toHaveLength(2);
  });
});

function raw(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port, hostname } = new URL(server.url);
    let text = "";
    const socket = connect(Number(port), hostname, () => socket.write(request));
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

describe("nothing is left behind", () => {
  const idle = async (): Promise<void> => {
    for (let tries = 0; tries < 200; tries++) {
      const { running, waiting } = engine.stats();
      if (running + waiting === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("the engine still works");
  };
  beforeEach(idle);

  test("by a client that vanishes while it is answered", async () => {
    const { steps } = engine.stats();
    for (const stream of [true, false]) {
      const gone = new AbortController();
      const answer = post({ ...ask, max_tokens: 200, stop: ["never said"], stream }, {});
      const vanish = fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ ...ask, max_tokens: 200, stop: ["never said"], stream }),
        headers: { "content-type": "application/json" },
        signal: gone.signal,
      }).then((response) => response.body?.getReader().read());
      await answer;
      gone.abort();
      await vanish.catch(() => {});
    }
    await idle();
    expect(engine.stats().steps).toBeGreaterThan(steps);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/camelid_requests_inside 0/);
    expect(metrics).toMatch(/camelid_sequences_running\{model="tiny"\} 0/);
  });

  test("the server lets those inside end, and takes nobody new", async () => {
    const closing = await start();
    const inside = post({ ...ask, max_tokens: 100, stop: ["never said"] }, {}, closing);
    while (engine.stats().running === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const late = fetch(`${closing.url}/health`);
    const closed = closing.close(10);
    expect((await inside).status).toBe(200);
    await closed;
    await late;
    await expect(fetch(`${closing.url}/health`)).rejects.toThrow();
  });

  test("answers that take too long end when the time is up", async () => {
    await using hurried = await start({ requestSeconds: 0.001 });
    const response = await post({ ...ask, max_tokens: 200, stop: ["never said"] }, {}, hurried);
    expect(response.status).toBe(504);
    await idle();
  });
});
