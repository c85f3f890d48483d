/** Streams: the order of what comes, how they end, and clients that do not read them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelServer } from "../../packages/camelid/src/serve/server.js";
import { clientOf, errorOf, eventsOf, post, type Serving, serveTiny, socketTo, until } from "./serving.js";

let serving: Serving;
let server: ModelServer;
beforeAll(async () => {
  serving = await serveTiny();
  server = await serving.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await serving[Symbol.asyncDispose]();
});

const messages = [{ role: "user" as const, content: "What do camels eat?" }];
const ask = { model: "tiny", messages, max_tokens: 12, temperature: 1, seed: 5 };
const endless = { ...ask, max_tokens: 200, stop: ["never said"], stream: true };

describe("several choices in one stream", () => {
  test("each has a role first, then text, then one reason to end, and the text of the whole answer", async () => {
    const client = clientOf(server);
    const whole = await client.chat.completions.create({ ...ask, n: 3 });
    const order = new Map<number, string[]>();
    const texts = ["", "", ""];
    for await (const { choices, object } of await client.chat.completions.create({
      ...ask,
      n: 3,
      stream: true,
    })) {
      expect(object).toBe("chat.completion.chunk");
      const { index, delta, finish_reason } = choices[0]!;
      texts[index] += delta.content ?? "";
      const step = finish_reason ?? (delta.role === undefined ? "text" : "role");
      order.set(index, [...(order.get(index) ?? []), step]);
    }
    expect(texts).toEqual(whole.choices.map(({ message }) => message.content));
    for (const [index, steps] of order) {
      expect(steps[0]).toBe("role");
      expect(steps.at(-1)).toBe(whole.choices[index]!.finish_reason);
      expect(steps.slice(1, -1).every((step) => step === "text")).toBe(true);
    }
    expect([...order.keys()].sort()).toEqual([0, 1, 2]);
  });

  test("several prompts too", async () => {
    const body = { model: "tiny", prompt: ["Camels", "Hills"], n: 2, temperature: 1, seed: 1, max_tokens: 6 };
    const whole = await clientOf(server).completions.create(body);
    const texts = ["", "", "", ""];
    for await (const { choices } of await clientOf(server).completions.create({ ...body, stream: true }))
      texts[choices[0]!.index] += choices[0]!.text;
    expect(texts).toEqual(whole.choices.map(({ text }) => text));
  });

  test("more than 128 texts at once are refused", async () => {
    const body = { model: "tiny", prompt: Array(9).fill("Camels"), n: 16, stream: true };
    const { status, code, param } = await errorOf(await post(server, body, { path: "completions" }));
    expect([status, code, param]).toEqual([400, "too_many_choices", "n"]);
  });
});

test("an answer that stops at once is empty, not missing", async () => {
  const greedy = { ...ask, temperature: 0, max_tokens: 1 };
  const first = await clientOf(server).chat.completions.create(greedy);
  const stop = first.choices[0]!.message.content!;
  expect(stop).not.toBe("");
  const whole = await clientOf(server).chat.completions.create({ ...greedy, max_tokens: 5, stop });
  expect(whole.choices[0]).toMatchObject({ index: 0, message: { content: "" }, finish_reason: "stop" });
  const events = await eventsOf(await post(server, { ...greedy, max_tokens: 5, stop, stream: true }));
  expect(events).toHaveLength(2);
  expect(events[1]).toMatchObject({ choices: [{ delta: {}, finish_reason: "stop" }] });
});

test("log-probabilities come with their pieces, as many as tokens", async () => {
  const events = await eventsOf(
    await post(server, { ...ask, logprobs: true, top_logprobs: 2, stream: true, temperature: 0 }),
  );
  const entries = events.flatMap(
    (event) =>
      (event as never as { choices: { logprobs: { content: object[] } | null }[] }).choices[0]!.logprobs
        ?.content ?? [],
  );
  expect(entries).toHaveLength(12);
});

describe("what cannot be answered", () => {
  test("gets its status before a stream begins", async () => {
    const tooLong = [{ role: "user", content: "a ".repeat(2000) }];
    const { status, code } = await errorOf(await post(server, { ...endless, messages: tooLong }));
    expect([status, code]).toEqual([400, "ERR_PROMPT_TOO_LONG"]);
  });

  test("or ends its stream in an error when the time is up, and OpenAI's client throws it", async () => {
    await using hurried = await serving.start({ requestSeconds: 0.05 });
    const events = await eventsOf(await post(hurried, { ...endless, n: 8 }));
    expect(events.at(-1)).toMatchObject({ error: { code: "too_long", type: "server_error" } });
    expect(JSON.stringify(events)).not.toContain("cancelled");
    const stream = await clientOf(hurried).chat.completions.create({ ...endless, stream: true, n: 8 });
    await expect(
      (async () => {
        for await (const _ of stream);
      })(),
    ).rejects.toThrow(/more than 0\.05 s/);
  });

  test("is cut when the server must end, and says so", async () => {
    const closing = await serving.start();
    const response = await post(closing, { ...endless, n: 16 });
    const events = eventsOf(response);
    await closing.close(0.02);
    expect((await events).at(-1)).toMatchObject({ error: { code: "server_stopping" } });
  });
});

describe("a client that does not read", () => {
  const body = JSON.stringify({
    ...{ model: "tiny", prompt: ["a", "b", "c", "d", "e", "f", "g", "h"], n: 16, max_tokens: 250 },
    ...{ temperature: 1, seed: 1, stop: ["never said"], logprobs: 20, stream: true },
  });
  const request = `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  test("loses its connection, its place and its work", async () => {
    await using strict = await serving.start({ stallSeconds: 0.3 });
    const socket = socketTo(strict);
    socket.pause();
    socket.on("error", () => {});
    socket.write(request);
    await until(() => serving.engine.stats().running > 0);
    await until(() => serving.engine.stats().running + serving.engine.stats().waiting === 0, 30);
    await until(async () => /requests_inside 0/.test(await (await fetch(`${strict.url}/metrics`)).text()));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    let read = "";
    socket.on("data", (chunk) => {
      read = (read + chunk).slice(-100);
    });
    socket.resume(); // what was on its way is read, then the end comes
    await closed;
    expect(read, "it was cut, not answered").not.toContain("[DONE]");
  });
});
