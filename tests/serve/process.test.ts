/** `camelid serve` and `camelid chat` as processes: signals, exit codes, the key, adapters on 4-bit bases. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine, loadAdaptedModel, loadTokenizer, type Message, renderPrompt } from "camelid";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtProgram, camelid, expectOneClearError, readJsonLines } from "../cli/camelid.js";
import { writeTinyModel } from "../tiny-model.js";
import { type CamelidProcess, startCamelid } from "./processes.js";

const root = mkdtempSync(join(tmpdir(), "camelid-serve-process-"));
const at = (name: string): string => join(root, name);
let base: string;
let adapter: string;
beforeAll(async () => {
  const tiny = await writeTinyModel(at("base"));
  base = tiny.model;
  const { code, err } = await camelid(
    ...["sft", "--model", base, "--data", tiny.data, "--out", at("tuned"), "--max-steps", "8"],
    ...["--lora-rank", "4", "--learning-rate", "1e-2", "--set", "quantize.doubleQuant=true"],
    ...["--set", "preflight=false"],
  );
  expect(code, err).toBe(0);
  adapter = join(at("tuned"), "final");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const messages: Message[] = [{ role: "user", content: "alpaca guanaco?" }];

/** What a model says greedily, in this process. */
async function answerOf(folder: string, maxNewTokens = 12, asked = messages, quantize = false) {
  using model = loadAdaptedModel(folder, {
    dtype: "float32",
    ...(quantize && { quantize: { doubleQuant: true, throughFp16: false } }),
  });
  const tokenizer = await loadTokenizer(folder);
  await using engine = createEngine(model, tokenizer);
  const promptIds = await renderPrompt(asked, tokenizer);
  return (await engine.generate([{ promptIds, maxNewTokens }]))[0]![0]!.text;
}

async function serve(words: string[], env: Record<string, string> = {}) {
  const server = startCamelid(["serve", "--port", "0", ...words], env);
  const url = (await server.says(/ready +(\S+)\/v1/))[1]!;
  return { ...server, url };
}

const clientOf = (url: string, apiKey = "none"): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const greedy = (model: string) => ({ model, messages: messages as never, max_tokens: 12, temperature: 0 });
const endless = (model: string) => ({ ...greedy(model), max_tokens: 200, stop: ["never said"], n: 16 });

describe.skipIf(!existsSync(builtProgram))("camelid serve", () => {
  test("several models, one of them an adapter on its 4-bit base, each with its own answers", async () => {
    await using server = await serve([
      "--model",
      base,
      "--name",
      "plain",
      "--more-models",
      `tuned=${adapter}`,
    ]);
    const client = clientOf(server.url);
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(["plain", "tuned"]);
    for (const [name, folder] of [
      ["plain", base],
      ["tuned", adapter],
    ] as const) {
      const answer = await client.chat.completions.create(greedy(name));
      expect(answer.choices[0]!.message.content, name).toBe(await answerOf(folder));
    }
    expect(await answerOf(adapter), "the adapter says something else").not.toBe(await answerOf(base));
  });

  test("a base in 4 bits, called as its folder", async () => {
    await using server = await serve(["--model", base, "--set", "quantize.doubleQuant=true"]);
    const answer = await clientOf(server.url).chat.completions.create(greedy("model"));
    expect(answer.choices[0]!.message.content).toBe(await answerOf(base, 12, messages, true));
  });

  test("the key comes from the environment and is written nowhere", async () => {
    const key = "k-5f2d9a";
    await using server = await serve(["--model", base], { CAMELID_API_KEY: `${key}\n` });
    await expect(clientOf(server.url, "guess").models.list()).rejects.toMatchObject({ status: 401 });
    await clientOf(server.url, key).chat.completions.create(greedy("model"));
    await server.says(/POST \/v1\/chat\/completions {2}200/);
    expect(server.out() + server.err()).not.toContain(key);
  });

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s lets answers under way end, then it is done",
    async (signal) => {
      await using server = await serve(["--model", base, "--name", "tiny"]);
      const client = clientOf(server.url);
      const whole = client.chat.completions.create(endless("tiny"));
      const stream = await client.chat.completions.create({ ...endless("tiny"), stream: true });
      let ends = 0;
      let isAsked = false;
      for await (const { choices } of stream) {
        if (!isAsked) server.child.kill(signal);
        isAsked = true;
        if (choices[0]!.finish_reason === "length") ends++;
      }
      expect(ends).toBe(16);
      expect((await whole).choices.map(({ finish_reason }) => finish_reason)).toEqual(
        Array(16).fill("length"),
      );
      expect(await server.ended).toBe(0);
      expect(server.err()).toContain("No new requests");
    },
  );

  test("a second Ctrl+C leaves at once with code 130", async () => {
    await using server = await serve(["--model", base, "--name", "tiny"]);
    const long = { model: "tiny", prompt: Array(8).fill("a"), n: 16, max_tokens: 250, logprobs: 20 };
    clientOf(server.url)
      .completions.create({ ...long, stop: ["never said"] })
      .catch(() => {});
    await inside(server.url);
    server.child.kill("SIGINT");
    await server.says(/No new requests/);
    await new Promise((resolve) => setTimeout(resolve, 600)); // closer together they would be one
    server.child.kill("SIGINT");
    expect(await server.ended).toBe(130);
  });

  test("a port that is taken, and an address for everybody without a key", async () => {
    await using server = await serve(["--model", base]);
    const { port } = new URL(server.url);
    const run = async (...words: string[]) => {
      const other = startCamelid(["serve", "--model", base, ...words]);
      return { code: (await other.ended) as number, out: other.out(), err: other.err() };
    };
    expectOneClearError(await run("--port", port), { code: "ERR_SERVE_PORT", says: /EADDRINUSE/ });
    expectOneClearError(await run("--port", "0", "--host", "0.0.0.0"), {
      code: "ERR_SERVE_NEEDS_KEY",
      says: /anybody/,
    });
  });
});

async function inside(url: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (/requests_inside [1-9]/.test(await (await fetch(`${url}/metrics`)).text())) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("the request never came in");
}

describe.skipIf(!existsSync(builtProgram))("camelid chat", () => {
  const chat = (...words: string[]): CamelidProcess =>
    startCamelid(["chat", "--temperature", "0", "--max-new-tokens", "12", ...words]);

  test("questions from a pipe, answers to a pipe, the talk as rows", async () => {
    await using talk = chat("--model", base, "--system", "Be short.");
    talk.child.stdin!.end(`alpaca guanaco?\n/save ${at("chat.jsonl")}\n/undo\n/nonsense\n`);
    expect(await talk.ended, talk.err()).toBe(0);
    const asked: Message[] = [{ role: "system", content: "Be short." }, ...messages];
    const answer = await answerOf(base, 12, asked);
    expect(talk.out()).toContain(answer.trim());
    expect(talk.out()).toContain("taken back: alpaca guanaco?");
    expect(talk.out()).toContain("/nonsense is not known.");
    const [row] = readJsonLines<{ messages: Message[] }>(at("chat.jsonl"));
    expect(row!.messages).toEqual([...asked, { role: "assistant", content: answer }]);
    expect(readFileSync(at("chat.jsonl"), "utf8").split("\n")).toHaveLength(2);
  });

  test("an adapter beside its base", async () => {
    await using talk = chat("--model", base, "--beside", adapter);
    talk.child.stdin!.end("alpaca guanaco?\n/exit\n");
    expect(await talk.ended, talk.err()).toBe(0);
    expect(talk.out()).toContain(`model:\n${(await answerOf(base)).trim()}`);
    expect(talk.out()).toContain(`tuned/final:\n${(await answerOf(adapter)).trim()}`);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it, asked or not", async (signal) => {
    await using talk = chat("--model", base);
    talk.child.stdin!.write("/undo\n");
    await talk.says(/nothing to take back/);
    talk.child.kill(signal);
    expect(await talk.ended).toBe(130);
  });
});
