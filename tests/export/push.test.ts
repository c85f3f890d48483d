/** `camelid push` against a stand-in for the hub, with everything that can go wrong on the way. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { exportModel } from "../../packages/camelid/src/export/export-model.js";
import { type PushOptions, pushModel } from "../../packages/camelid/src/export/push.js";
import { resolveModel } from "../../packages/camelid/src/weights/hub-cache.js";
import { camelid, expectOneClearError } from "../cli/camelid.js";
import { UploadHub } from "../faults/upload-hub.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-push-test-"));
const hub = new UploadHub();
let tiny: TinyModel;
let model: string;
beforeAll(async () => {
  await hub.start();
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 8 });
  model = join(root, "model");
  await exportModel({ model: tiny.model, to: "merged", out: model });
});
afterAll(async () => {
  await hub.stop();
  rmSync(root, { recursive: true });
});

let waits: number[];
beforeEach(() => {
  waits = [];
  hub.requests.length = 0;
  hub.repositories.clear();
  hub.objects.clear();
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_TOKEN", hub.token);
  vi.stubEnv("CAMELID_CACHE", mkdtempSync(join(root, "cache-")));
});
afterEach(() => {
  vi.unstubAllEnvs();
  expect(hub.faults.splice(0), "faults that no request met").toEqual([]);
});

const push = (options: Partial<PushOptions> = {}) =>
  pushModel({
    model,
    repo: "org/tiny",
    sleep: async (milliseconds) => void waits.push(milliseconds),
    ...options,
  });

const sentBytes = () =>
  hub.requests
    .filter(({ store, method }) => store && method === "PUT")
    .reduce((n, { bytes }) => n + bytes, 0);
const content = (name: string) => hub.repositories.get("org/tiny")!.files.get(name)?.content;

describe("a push", () => {
  test("makes a private repository, sends every file, and what is there is the folder", async () => {
    const result = await push();
    expect(result).toMatchObject({ created: true, unchanged: 0, card: "none" });
    expect(hub.repositories.get("org/tiny")!.private).toBe(true);
    for (const name of readdirSync(model))
      expect(content(name)?.equals(readFileSync(join(model, name))), name).toBe(true);
    expect(hub.repositories.get("org/tiny")!.files.get("model.safetensors")!.isLarge).toBe(true);
    expect(
      hub.requests.some(({ path }) => path.startsWith("/part/")),
      "in parts",
    ).toBe(true);
  });

  test("can be fetched again by its name", async () => {
    const { commit } = await push();
    const { folder, hub: source } = await resolveModel("org/tiny");
    expect(source).toMatchObject({ id: "org/tiny", commit });
    const weights = "model.safetensors";
    expect(readFileSync(join(folder, weights)).equals(readFileSync(join(model, weights)))).toBe(true);
  });

  test("of the same folder again sends nothing and makes no commit", async () => {
    const { commit } = await push();
    hub.requests.length = 0;
    const again = await push();
    expect(again).toMatchObject({ changed: [], created: false, commit });
    expect(hub.requests.map(({ method }) => method)).toEqual(["GET"]);
  });

  test("of a folder with one file changed sends that file", async () => {
    await push();
    writeFileSync(join(model, "NOTES.md"), "changed");
    hub.requests.length = 0;
    try {
      expect(await push()).toMatchObject({ changed: ["NOTES.md"], unchanged: readdirSync(model).length - 1 });
    } finally {
      rmSync(join(model, "NOTES.md"));
    }
    expect(sentBytes()).toBe(0);
  });

  test("gives the token to the hub and never to the store", async () => {
    await push();
    for (const { store, token } of hub.requests)
      expect(token).toBe(store ? undefined : `Bearer ${hub.token}`);
  });
});

describe("an interruption", () => {
  test("in the middle of a part: the part is sent again, the others are not", async () => {
    hub.faults.push({ method: "PUT", path: /\/part\/.*\/2$/, dropAfter: 1000 });
    await push();
    const parts = hub.requests.flatMap(({ path }) => (path.startsWith("/part/") ? [path.split("/")[3]] : []));
    expect(new Set(parts).size).toBe(parts.length);
    expect(waits).toEqual([1000]);
  });

  test("for good: the next push sends only what has not arrived", async () => {
    const large = join(model, "second.safetensors");
    writeFileSync(large, Buffer.alloc(30_000, 7));
    try {
      hub.faults.push(
        ...Array.from({ length: 5 }, () => ({ method: "PUT", path: /\/object\//, dropAfter: 100 })),
      );
      await expect(push()).rejects.toMatchObject({ code: "ERR_HUB_UPLOAD" });
      expect(hub.objects.size).toBe(1);
      expect(content("model.safetensors"), "no commit without all files").toBeUndefined();
      hub.requests.length = 0;
      await push();
      expect(sentBytes()).toBe(30_000);
      expect(content("model.safetensors")?.equals(readFileSync(join(model, "model.safetensors")))).toBe(true);
    } finally {
      rmSync(large);
    }
  });

  test("by the user ends it at once, and the next push goes on", async () => {
    const stop = new AbortController();
    const onProgress = ({ doneBytes }: { doneBytes: number }) => doneBytes > 20_000 && stop.abort();
    await expect(push({ signal: stop.signal, onProgress })).rejects.toThrow(/abort/i);
    expect(content("config.json")).toBeUndefined();
    await push();
    expect(content("config.json")).toBeDefined();
  });

  test("after the commit was made is no second commit", async () => {
    hub.faults.push({ method: "POST", path: /\/commit\//, dropAnswer: true });
    const { commit } = await push();
    expect(commit).toBe(hub.repositories.get("org/tiny")!.commit);
    expect(hub.requests.filter(({ path }) => path.includes("/commit/"))).toHaveLength(1);
  });
});

describe("the hub says", () => {
  test("429 with a time: it is waited for", async () => {
    hub.faults.push({ method: "POST", path: /preupload/, status: 429, headers: { "retry-after": "7" } });
    await push();
    expect(waits).toEqual([7000]);
  });

  test("503 five times: an error that says so, and nothing is committed", async () => {
    hub.faults.push(
      ...Array.from({ length: 5 }, () => ({ method: "POST", path: /objects\/batch/, status: 503 })),
    );
    await expect(push()).rejects.toMatchObject({ code: "ERR_HUB_BUSY" });
    expect(content("config.json")).toBeUndefined();
  });

  test("401: the token does not allow it", async () => {
    vi.stubEnv("HF_TOKEN", "hf_other");
    await expect(push()).rejects.toMatchObject({
      code: "ERR_HUB_ACCESS",
      fix: expect.stringContaining("HF_TOKEN"),
    });
  });

  test("412: a branch that moved is not overwritten", async () => {
    await push();
    writeFileSync(join(model, "NOTES.md"), "mine");
    hub.faults.push({ method: "POST", path: /\/commit\//, status: 412 });
    try {
      await expect(push()).rejects.toMatchObject({ code: "ERR_HUB_ANSWER" });
    } finally {
      rmSync(join(model, "NOTES.md"));
    }
    expect(content("NOTES.md")).toBeUndefined();
  });
});

describe("refused before anything is sent", () => {
  test.each([
    ["no token", { HF_TOKEN: "" }, {}, "ERR_HUB_TOKEN"],
    ["no repository's name", {}, { repo: "tiny" }, "ERR_PUSH_REPO"],
    ["a folder without a model", {}, { model: tmpdir() }, "ERR_PUSH_FOLDER"],
  ] as const)("%s", async (_, environment, options, code) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    await expect(push(options)).rejects.toMatchObject({ code });
    expect(hub.requests).toEqual([]);
  });
});

describe("a run's result", () => {
  let run: string;
  let data: string;
  beforeAll(async () => {
    run = join(root, "run");
    data = join(root, "mixture");
    const mixture = join(root, "mixture.yaml");
    writeFileSync(
      mixture,
      `name: small\nseed: 5\nsources:\n  - name: hills\n    format: messages\n    files: ${tiny.data}\n`,
    );
    const mixed = await camelid("mix", "--config", mixture, "--out", data);
    expect(mixed.code, mixed.err).toBe(0);
    const trained = await camelid(
      ...[
        "sft",
        "--model",
        tiny.model,
        "--data",
        join(data, "train.jsonl"),
        "--out",
        run,
        "--max-steps",
        "2",
      ],
      ...["--max-seq-len", "64", "--micro-batch-size", "2", "--set", "preflight=false", "--lora-rank", "2"],
    );
    expect(trained.code, trained.err).toBe(0);
  }, 120_000);

  test("has a card with base, data, settings, evaluation, contamination, limits and how to prompt it; no place of this machine", async () => {
    const metrics = join(root, "metrics.json");
    const task = {
      title: "GSM8K",
      metric: "exact match",
      unit: "%",
      score: 12.5,
      interval: [9.1, 16.9],
      items: 200,
      shots: 8,
    };
    writeFileSync(metrics, JSON.stringify({ format: 1, profile: "tulu2", tasks: { gsm8k: task } }));
    const out = join(root, "merged-run");
    await exportModel({ model: run, to: "merged", out, evals: [metrics] });
    const card = readFileSync(join(out, "README.md"), "utf8");
    expect(card).toMatch(/^---\nlicense: other\n/);
    expect(card).toContain("supervised fine-tuning");
    expect(card).toMatch(/\| hills \| \d+ \| not recorded \|/);
    expect(card).toContain("| `learningRate` |");
    expect(card).toContain("| GSM8K, 8 shots (tulu2) | exact match | 12.5% | 9.1 to 16.9 | 200 |");
    expect(card).toContain("were not searched for texts of benchmarks");
    expect(card).toContain("<|user|>\n{user text}\n<|assistant|>");
    expect(card).not.toContain(root);
    expect(card).not.toContain(tmpdir());
  });

  test("is pushed by the command, which says what it did; the token is in nothing it prints or sends as content", async () => {
    const out = join(root, "merged-push");
    await exportModel({ model: run, to: "merged", out });
    const {
      code,
      out: printed,
      err,
    } = await camelid("push", "--model", out, "--run", run, "--repo", "org/tiny", "--licence", "mit");
    expect(code, err).toBe(0);
    expect(printed).toMatch(
      /sent {5}\d+ files, 0 were there already\nmodel {4}http:\/\/127\.0\.0\.1:\d+\/org\/tiny at [0-9a-f]{40}/,
    );
    expect(printed + err).not.toContain(hub.token);
    expect(content("README.md")!.toString()).toMatch(/^---\nlicense: mit\n[\s\S]*# org\/tiny/);
    for (const { content } of hub.repositories.get("org/tiny")!.files.values())
      expect(content.includes(hub.token)).toBe(false);
  });

  test("an adapter whose base is a place on this machine is refused", async () => {
    expectOneClearError(await camelid("push", "--model", run, "--repo", "org/tiny"), {
      ...{ code: "ERR_PUSH_BASE", says: /place on this machine/ },
    });
    expect(hub.requests).toEqual([]);
  });
});
