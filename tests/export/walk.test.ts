/**
 * From a run to its users, the walk of docs/guides/export.md: train, export as GGUF and talk to it in llama.cpp, serve it and ask with
 * OpenAI's client, publish it, fetch it by its name - one model, one answer everywhere.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEngine, loadModel, loadTokenizer } from "camelid";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startServer } from "../../packages/camelid/src/serve/server.js";
import { camelid, readJsonLines } from "../cli/camelid.js";
import { UploadHub } from "../faults/upload-hub.js";
import { writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-walk-"));
const at = (name: string): string => join(root, name);
const hub = new UploadHub();
const llamaCpp = join(dirname(fileURLToPath(import.meta.url)), "../gguf");
const hasLlamaCpp = existsSync(join(llamaCpp, "node_modules/node-llama-cpp"));

const messages = [{ role: "user" as const, content: "alpaca guanaco?" }];
const TOKENS = 12;

beforeAll(async () => {
  await hub.start();
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_TOKEN", hub.token);
  vi.stubEnv("CAMELID_CACHE", at("cache"));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.stop();
  rmSync(root, { recursive: true });
});

async function run(...words: string[]): Promise<string> {
  const { code, out, err } = await camelid(...words);
  expect(code, err).toBe(0);
  return out;
}

async function answerOf(
  model: string,
): Promise<{ text: string; output_ids: number[]; prompt_ids: number[] }> {
  writeFileSync(at("prompts.jsonl"), `${JSON.stringify({ messages })}\n`);
  await run(
    ...["generate", "--model", model, "--prompts", at("prompts.jsonl"), "--out", at("answer.jsonl")],
    ...["--max-new-tokens", String(TOKENS)],
  );
  return readJsonLines<{ text: string; output_ids: number[]; prompt_ids: number[] }>(at("answer.jsonl"))[0]!;
}

test("one model gives one answer from its run, its exports, a server, llama.cpp and a hub", async () => {
  const tiny = await writeTinyModel(at("base"));
  await run(
    ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", at("run"), "--max-steps", "20"],
    ...["--learning-rate", "3e-3", "--set", "preflight=false"],
  );
  const wanted = await answerOf(join(at("run"), "final"));
  expect(wanted.output_ids.length).toBeGreaterThan(0);

  await run("export", "--model", at("run"), "--to", "gguf", "--type", "f32", "--out", at("gguf"));
  if (hasLlamaCpp)
    expect(await askLlamaCpp(join(at("gguf"), "run-f32.gguf"), wanted.prompt_ids)).toEqual(wanted.output_ids);

  await run("export", "--model", at("run"), "--to", "merged", "--out", at("merged"));
  expect(await askServer(at("merged"))).toBe(wanted.text);

  const said = await run("push", "--model", at("merged"), "--run", at("run"), "--repo", "org/walk");
  expect(said).toContain("/org/walk at ");
  expect(await answerOf("org/walk")).toEqual(wanted);
});

async function askServer(folder: string): Promise<string | null> {
  using model = loadModel(folder);
  await using engine = createEngine(model, await loadTokenizer(folder), { maxSequences: 2 });
  await using server = await startServer({ engines: new Map([["walk", engine]]), port: 0 });
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  const answer = await client.chat.completions.create({
    model: "walk",
    messages,
    max_tokens: TOKENS,
    temperature: 0,
  });
  return answer.choices[0]!.message.content;
}

async function askLlamaCpp(path: string, prompt: number[]): Promise<number[]> {
  const { getLlama } = await import(join(llamaCpp, "node_modules/node-llama-cpp/dist/index.js"));
  const llama = await getLlama({
    gpu: false,
    build: "never",
    logLevel: "error",
    progressLogs: false,
    maxThreads: 1,
  });
  try {
    const model = await llama.loadModel({ modelPath: path });
    const sequence = (await model.createContext({ contextSize: 128 })).getSequence();
    const decoded: number[] = [];
    for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
      decoded.push(token);
      if (decoded.length === TOKENS) break;
    }
    return decoded;
  } finally {
    await llama.dispose();
  }
}
