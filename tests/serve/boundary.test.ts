/** The edge of the server: bodies, browsers, keys, logs, and what clients learn of failures. */
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ModelServer } from "../../packages/camelid/src/serve/server.js";
import { clientOf, errorOf, post, type Serving, serveTiny, socketTo, until } from "./serving.js";

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

const ask = { model: "tiny", messages: [{ role: "user", content: "Hello?" }], max_tokens: 4, temperature: 0 };

test("a model is described by its name", async () => {
  expect(await clientOf(server).models.retrieve("tiny")).toMatchObject({ id: "tiny", object: "model" });
  await expect(clientOf(server).models.retrieve("org/huge")).rejects.toMatchObject({
    status: 404,
    code: "model_not_found",
  });
});

test("answers have every field that OpenAI's types require", async () => {
  const chat = (await (await post(server, ask)).json()) as Record<string, unknown>;
  expect(Object.keys(chat).sort()).toEqual(["choices", "created", "id", "model", "object", "usage"]);
  expect(Object.keys((chat.choices as object[])[0]!).sort()).toEqual([
    ...["finish_reason", "index", "logprobs", "message"],
  ]);
  const text = (await (
    await post(server, { model: "tiny", prompt: "Camels" }, { path: "completions" })
  ).json()) as Record<string, unknown>;
  expect(text.object).toBe("text_completion");
  expect(Object.keys((text.choices as object[])[0]!).sort()).toEqual([
    ...["finish_reason", "index", "logprobs", "text"],
  ]);
});

test("a body without a length is cut off where others are", async () => {
  await using small = await serving.start({ maxBodyBytes: 1000 });
  const status = await new Promise((resolve, reject) => {
    const request = httpRequest(`${small.url}/v1/chat/completions`, { method: "POST" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("error", reject);
    for (let i = 0; i < 4; i++) request.write("x".repeat(500));
    request.end();
  });
  expect(status).toBe(413);
});

test("a body that comes in chunks is read like any other", async () => {
  const chunked = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: new Blob([JSON.stringify(ask)]).stream(),
    duplex: "half",
  });
  const whole = await post(server, ask);
  expect(chunked.status).toBe(200);
  const choices = async (response: Response) => ((await response.json()) as { choices: object }).choices;
  expect(await choices(chunked)).toEqual(await choices(whole));
});

test("a compressed body is refused as such", async () => {
  const refusal = await errorOf(await post(server, ask, { headers: { "content-encoding": "gzip" } }));
  expect(refusal).toMatchObject({ status: 415, code: "compressed_body" });
});

test("a method that no route has is answered, and is nobody's failure", async () => {
  for (const method of ["DELETE", "OPTIONS", "PUT", "HEAD"]) {
    const { status } = await fetch(`${server.url}/v1/models/tiny`, { method });
    expect([method, status]).toEqual([method, method === "HEAD" ? 200 : 404]);
  }
});

test("a client that goes away inside its body is nobody's failure", async () => {
  const failures: unknown[] = [];
  const statuses: number[] = [];
  await using watched = await serving.start({
    onFailure: (error) => failures.push(error),
    onRequest: ({ status }) => statuses.push(status),
  });
  const socket = socketTo(watched);
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.destroy();
  await until(() => statuses.length > 0);
  expect([statuses, failures]).toEqual([[499], []]);
});

test("headers that never end are not waited for", { timeout: 20_000 }, async () => {
  const socket = socketTo(server);
  const started = performance.now();
  let said = "";
  socket.on("data", (chunk) => {
    said += chunk;
  });
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
  expect(said).toMatch(/^HTTP\/1\.1 408/);
  expect(performance.now() - started).toBeLessThan(13_000);
});

test("a page that may call the server can, with every header that OpenAI's client sends", async () => {
  const origin = "https://chat.example";
  await using open = await serving.start({ origins: [origin], key: "secret" });
  const headers = "authorization,content-type,x-stainless-lang,x-stainless-retry-count";
  const asked = await fetch(`${open.url}/v1/chat/completions`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": headers,
    },
  });
  expect(asked.status).toBe(204);
  expect(asked.headers.get("access-control-allow-headers")).toBe(headers);
  for (const stream of [false, true]) {
    const answer = await post(
      open,
      { ...ask, stream },
      { headers: { origin, authorization: "Bearer secret" } },
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
    await answer.text();
  }
  const foreign = await post(open, ask, {
    headers: { origin: "https://evil.example", authorization: "Bearer secret" },
  });
  expect(foreign.status).toBe(403);
  expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
});

test("a refusal can be read by the page that caused it", async () => {
  const origin = "https://chat.example";
  await using open = await serving.start({ origins: [origin], key: "secret" });
  const refused = await post(open, ask, { headers: { origin } });
  expect(refused.headers.get("access-control-allow-origin")).toBe(origin);
  expect((await errorOf(refused)).code).toBe("invalid_api_key");
});

test("the log has every request at its end, and never the key", async () => {
  const lines: string[] = [];
  await using logged = await serving.start({
    key: "s3cret",
    onRequest: (request) => lines.push(JSON.stringify(request)),
  });
  const authorization = "bearer s3cret"; // schemes are written in any case
  const stream = { ...ask, max_tokens: 200, stop: ["never said"], stream: true };
  const answer = await post(logged, stream, { headers: { authorization } });
  expect(lines).toEqual([]);
  await answer.text();
  await fetch(`${logged.url}/v1/models?key=s3cret`);
  await until(() => lines.length === 2);
  expect(lines[0]).toContain('"status":200');
  expect(lines[1]).toContain('"status":401');
  expect(lines.join()).not.toContain("s3cret");
});

test("a failure of the server's own is in its log, and clients learn nothing of it", async () => {
  const failures: unknown[] = [];
  const broken = {
    ...serving.engine,
    stream: () => {
      throw new Error("the weights of /home/somebody are gone");
    },
  };
  await using failing = await serving.start({
    engines: new Map([["tiny", broken]]),
    onFailure: (error) => failures.push(error),
  });
  for (const stream of [false, true]) {
    const { status, message } = await errorOf(await post(failing, { ...ask, stream }));
    expect(status).toBe(500);
    expect(message).not.toContain("somebody");
  }
  expect(failures.map(String)).toEqual(Array(2).fill("Error: the weights of /home/somebody are gone"));
});
