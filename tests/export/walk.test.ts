/**
 * From a run to its users: docs/guides/walk.md, executed block by block with a tiny model - the terminal, llama.cpp, a server with
 * OpenAI's client, a hub. One model, one answer everywhere.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtProgram, camelid, readJsonLines } from "../cli/camelid.js";
import { UploadHub } from "../faults/upload-hub.js";
import { writeTinyModel } from "../tiny-model.js";
import { type Block, blocksOf, type RunningBlock, runBlock, startBlock } from "./guide-page.js";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const blocks = blocksOf(join(repository, "docs/guides/walk.md"));
const llamaCpp = join(repository, "tests/gguf/node_modules/node-llama-cpp");
const hasLlamaCpp = existsSync(llamaCpp);

const root = mkdtempSync(join(tmpdir(), "camelid-walk-"));
const at = (name: string): string => join(root, name);
const hub = new UploadHub();
let env: Record<string, string>;
let port: number;
let server: RunningBlock | undefined;

beforeAll(async () => {
  await hub.start();
  port = await freePort();
  env = {
    HF_ENDPOINT: hub.endpoint,
    HF_TOKEN: hub.token,
    CAMELID_CACHE: at("cache"),
    CAMELID_API_KEY: "",
    OMP_NUM_THREADS: "1",
  };
  mkdirSync(at("node_modules"));
  for (const name of ["camelid", "openai", ".bin"]) link(join(repository, "node_modules", name));
  if (hasLlamaCpp) link(llamaCpp);
});
afterAll(async () => {
  await server?.interrupt();
  await hub.stop();
  rmSync(root, { recursive: true });
});

function link(target: string): void {
  symlinkSync(target, join(at("node_modules"), basename(target)));
}

/** What blocks of commands printed, by their text. */
const printed = new Map<string, string>();

describe.skipIf(!existsSync(builtProgram))("docs/guides/walk.md", () => {
  test("leads from the demo to a hub", () => {
    const page = blocks.map(({ text }) => text).join("");
    const stations = [
      "npm start",
      "camelid chat",
      "--to gguf",
      "node-llama-cpp",
      "camelid serve",
      "openai",
      "camelid push",
    ];
    for (const station of stations) expect(page).toContain(station);
  });

  for (const block of blocks) {
    const needsLlamaCpp = block.label === "llama.cpp";
    test.skipIf(needsLlamaCpp && !hasLlamaCpp)(nameOf(block), () => perform(block));
  }

  test("all of them gave the same answer", () => {
    const [answer] = readJsonLines<{ text: string }>(at("out/answers.jsonl"));
    const text = answer!.text.trim();
    expect(text).not.toBe("");
    expect(saidAfter("camelid chat")).toContain(text);
    expect(saidAfter("node ask.mjs")).toContain(text);
    expect(saidAfter("node ask.mjs")).toContain('"id":"camel"');
    if (hasLlamaCpp) expect(saidAfter("node talk.mjs").trim()).toBe(text);
    expect(readJsonLines(at("out/fetched.jsonl"))).toEqual(readJsonLines(at("out/answers.jsonl")));
  });

  test("Ctrl+C ended the server", async () => {
    expect(await server!.interrupt()).toContain("No new requests");
    server = undefined;
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();
  });
});

function nameOf({ language, label, text }: Block): string {
  return language === "sh" ? text.trim().split("\n").at(-1)! : label!;
}

function saidAfter(command: string): string {
  const found = [...printed].find(([text]) => text.includes(command));
  expect(found, command).toBeDefined();
  return found![1];
}

async function perform({ language, label, text: written }: Block): Promise<void> {
  const text = written.replaceAll("8000", String(port));
  if (language !== "sh") return writeFileSync(at(label!), text);
  if (label === "demo") return await trainInsteadOfDemo();
  if (text.startsWith("npm install")) return; // it is there, or the blocks that need it are skipped
  if (label === "server") server = await startBlock(text, root, env, /ready/);
  else printed.set(text, await runBlock(text, root, env));
}

/** The last stage's folder as the demo leaves it, in two seconds. */
async function trainInsteadOfDemo(): Promise<void> {
  const tiny = await writeTinyModel(at("base"));
  const { code, err } = await camelid(
    ...["sft", "--model", tiny.model, "--data", tiny.data, "--out", at("out/demo/dpo"), "--max-steps", "20"],
    ...["--learning-rate", "3e-3", "--set", "preflight=false"],
  );
  expect(code, err).toBe(0);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port: free } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return free;
}
