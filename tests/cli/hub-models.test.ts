/** `--model org/name` in commands, against a stand-in for the hub on 127.0.0.1. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { HubServer } from "../faults/hub-server.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";
import { camelid, expectOneClearError, readJsonLines } from "./camelid.js";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const NEXT = "89abcdef0123456789abcdef0123456789abcdef";
const TOKEN = "hf_a-secret-that-belongs-nowhere";

const root = mkdtempSync(join(tmpdir(), "camelid-hub-models-"));
const server = new HubServer();
let tiny: TinyModel;
let prompts: string;
beforeAll(async () => {
  await server.start();
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 8 });
  prompts = join(root, "prompts.jsonl");
  writeFileSync(prompts, '{"prompt":"camel"}\n');
});
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true });
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "test-"));
  vi.stubEnv("HF_ENDPOINT", server.endpoint);
  vi.stubEnv("CAMELID_CACHE", join(folder, "cache"));
  vi.stubEnv("HF_TOKEN", "");
  vi.stubEnv("HF_HUB_OFFLINE", "");
  server.requests.length = 0;
  const files = Object.fromEntries(
    readdirSync(tiny.model).map((name) => [name, readFileSync(join(tiny.model, name))]),
  );
  server.repositories.set("org/tiny", { commit: COMMIT, lfs: ["model.safetensors"], files });
});
afterEach(() => vi.unstubAllEnvs());

const generate = (model: string, out: string) =>
  camelid(..."generate --max-new-tokens 5".split(" "), "--model", model, "--prompts", prompts, "--out", out);
const outputOf = (path: string) =>
  readJsonLines<{ output_ids: number[] }>(path).map(({ output_ids }) => output_ids);

test("a name on the hub gives what the folder gives, and is fetched once", async () => {
  const [fromFolder, fromHub, again] = ["folder", "hub", "again"].map((name) =>
    join(folder, `${name}.jsonl`),
  );
  expect((await generate(tiny.model, fromFolder!)).code).toBe(0);
  const first = await generate("org/tiny", fromHub!);
  expect(first.err).toContain(`org/tiny@${COMMIT}`);
  expect(first.code).toBe(0);
  expect(outputOf(fromHub!)).toEqual(outputOf(fromFolder!));
  const files = server.requests.filter(({ path }) => !path.startsWith("/api/")).length;
  expect(files).toBeGreaterThan(0);
  expect((await generate("org/tiny@main", again!)).code).toBe(0);
  expect(server.requests.filter(({ path }) => !path.startsWith("/api/"))).toHaveLength(files);
});

test("without the network a fetched model is used, and another is an error that says why", async () => {
  expect((await generate("org/tiny", join(folder, "a.jsonl"))).code).toBe(0);
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  const { length } = server.requests;
  expect((await generate("org/tiny", join(folder, "b.jsonl"))).code).toBe(0);
  expectOneClearError(await generate("org/other", join(folder, "c.jsonl")), {
    code: "ERR_HUB_OFFLINE",
    says: /not in the cache/,
  });
  expect(server.requests).toHaveLength(length);
});

test("a model that needs a token says so, and the token of the environment opens it and is written nowhere", async () => {
  server.repositories.get("org/tiny")!.token = TOKEN;
  expectOneClearError(await generate("org/tiny", join(folder, "a.jsonl")), {
    code: "ERR_HUB_ACCESS",
    says: /./,
  });
  vi.stubEnv("HF_TOKEN", TOKEN);
  const out = join(folder, "run");
  const run = await camelid(
    ...["sft", "--model", "org/tiny", "--data", tiny.data, "--out", out, "--max-steps", "1"],
    ...["--max-seq-len", "64", "--micro-batch-size", "2", "--set", "preflight=false"],
  );
  expect(run.code, run.err).toBe(0);
  expect(run.out + run.err).not.toContain(TOKEN);
  for (const name of readdirSync(out, { recursive: true, encoding: "utf8", withFileTypes: true })) {
    if (!name.isFile()) continue;
    expect(readFileSync(join(name.parentPath, name.name)).includes(TOKEN), name.name).toBe(false);
  }
});

test("a mistyped path below a folder that is here is not looked for on the hub", async () => {
  const here = "packages/no-such-model";
  expectOneClearError(await generate(here, join(folder, "a.jsonl")), {
    code: "ERR_TOKENIZER_MISSING",
    says: /./,
    where: /packages\/no-such-model/,
  });
  expect(server.requests).toEqual([]);
});

test("an unknown name says that neither folder nor model is there", async () => {
  expectOneClearError(await generate("org/nothing", join(folder, "a.jsonl")), {
    code: "ERR_HUB_NOT_FOUND",
    says: /no such model/,
  });
});

test("a run's record pins the commit, and its adapter names the model, not a place on this machine", async () => {
  const out = join(folder, "run");
  const { code, err } = await camelid(
    ...["sft", "--model", "org/tiny", "--data", tiny.data, "--out", out, "--max-steps", "1"],
    ...["--max-seq-len", "64", "--micro-batch-size", "2", "--lora-rank", "2", "--set", "preflight=false"],
  );
  expect(code, err).toBe(0);
  const settings = JSON.parse(readFileSync(join(out, "settings.json"), "utf8"));
  expect(JSON.stringify(settings)).toContain(`"org/tiny@${COMMIT}"`);
  const adapter = JSON.parse(readFileSync(join(out, "final", "adapter_config.json"), "utf8"));
  expect(adapter).toMatchObject({ base_model_name_or_path: "org/tiny", revision: COMMIT });

  // The branch moves on; the adapter keeps its base. On a machine that has neither, both are fetched.
  vi.stubEnv("CAMELID_CACHE", join(folder, "another-cache"));
  const answered = await generate(join(out, "final"), join(folder, "a.jsonl"));
  expect(answered.code, answered.err).toBe(0);
  server.repositories.get("org/tiny")!.commit = NEXT;
  expect((await generate(join(out, "final"), join(folder, "b.jsonl"))).code).toBe(0);
  expect(outputOf(join(folder, "b.jsonl"))).toEqual(outputOf(join(folder, "a.jsonl")));
});
