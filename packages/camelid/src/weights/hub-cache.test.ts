import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { HubServer } from "../../../../tests/faults/hub-server.js";
import { CamelidError } from "../errors.js";
import { type HubProgress, type ResolveOptions, resolveModel } from "./hub-cache.js";

const root = mkdtempSync(join(tmpdir(), "hub-"));
const server = new HubServer();
beforeAll(() => server.start());
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true });
});

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const weights = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 31 + (i >> 8)) % 256));
const config = Buffer.from('{"model_type":"llama"}');

let cache: string;
let waits: number[];
beforeEach(() => {
  cache = mkdtempSync(join(root, "cache-"));
  waits = [];
  server.requests.length = 0;
  server.repositories.set("org/model", {
    commit: COMMIT,
    lfs: ["model.safetensors"],
    files: {
      "config.json": config,
      "model.safetensors": weights,
      "model.gguf": weights,
      "onnx/model.onnx": weights,
    },
  });
});
afterEach(() => expect(server.faults.splice(0), "faults that no request met").toEqual([]));

const resolve = (name = "org/model", { env, ...options }: ResolveOptions = {}) =>
  resolveModel(name, {
    cache,
    env: { HF_ENDPOINT: server.endpoint, ...env },
    sleep: async (milliseconds) => void waits.push(milliseconds),
    ...options,
  });

async function errorOf(action: Promise<unknown>): Promise<CamelidError> {
  try {
    await action;
  } catch (error) {
    if (error instanceof CamelidError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

const fileRequests = () => server.requests.filter(({ path }) => path.endsWith("/model.safetensors"));
const snapshots = () => join(cache, "hub", "org--model", "snapshots");
const blobs = () => readdirSync(join(cache, "hub", "org--model", "blobs"));

/** The downloaded folder is exactly what the hub has, and nothing unfinished is beside it. */
async function expectComplete(downloading: Promise<{ folder: string }>): Promise<void> {
  const { folder } = await downloading;
  expect(readdirSync(folder).sort()).toEqual(["config.json", "model.safetensors"]);
  expect(readFileSync(join(folder, "model.safetensors")).equals(weights)).toBe(true);
  expect(readFileSync(join(folder, "config.json")).equals(config)).toBe(true);
  expect(readdirSync(snapshots())).toEqual([COMMIT]);
  expect(blobs().filter((name) => name.includes("."))).toEqual([]);
}

test("a name becomes a model folder, pinned to a commit, without what a model does not need", async () => {
  await expectComplete(resolve());
  expect(await resolve()).toEqual({
    folder: join(snapshots(), COMMIT),
    hub: { id: "org/model", revision: "main", commit: COMMIT },
  });
});

test("files are fetched once; a pinned revision needs no network at all", async () => {
  await resolve();
  server.requests.length = 0;
  await resolve();
  expect(server.requests.map(({ path }) => path)).toEqual(["/api/models/org/model/revision/main"]);
  server.requests.length = 0;
  expect((await resolve(`org/model@${COMMIT}`)).folder).toBe(join(snapshots(), COMMIT));
  expect(server.requests).toEqual([]);
});

test("a new commit downloads only the files that changed", async () => {
  const first = await resolve();
  const commit = "f".repeat(40);
  server.repositories.get("org/model")!.commit = commit;
  server.repositories.get("org/model")!.files["config.json"] = Buffer.from("{}");
  server.requests.length = 0;
  const second = await resolve();
  expect(second.hub?.commit).toBe(commit);
  expect(fileRequests()).toEqual([]);
  expect(readFileSync(join(second.folder, "config.json"), "utf8")).toBe("{}");
  expect(readFileSync(join(first.folder, "config.json")).equals(config)).toBe(true);
  expect(statSync(join(second.folder, "model.safetensors")).ino).toBe(
    statSync(join(first.folder, "model.safetensors")).ino,
  );
});

test("a folder on this machine is itself; its name wins over the hub's", async () => {
  const folder = join(cache, "mine");
  mkdirSync(folder);
  expect(await resolve(folder)).toEqual({ folder });
  expect(server.requests).toEqual([]);
});

test("progress counts all files together and ends at the total", async () => {
  const seen: HubProgress[] = [];
  await resolve("org/model", { onProgress: (progress) => seen.push(progress) });
  const total = config.byteLength + weights.byteLength;
  expect(seen.every(({ totalBytes }) => totalBytes === total)).toBe(true);
  expect(seen.map(({ doneBytes }) => doneBytes)).toEqual(
    seen.map(({ doneBytes }) => doneBytes).sort((a, b) => a - b),
  );
  expect(seen.at(-1)).toEqual({ file: "model.safetensors", doneBytes: total, totalBytes: total });
});

test("a token goes to the hub and not to the server it redirects to", async () => {
  server.repositories.get("org/model")!.token = "secret";
  await expectComplete(resolve("org/model", { env: { HF_TOKEN: "secret" } }));
  expect(server.requests.filter(({ cdn }) => cdn)).not.toEqual([]);
  for (const { cdn, token } of server.requests) expect(token).toBe(cdn ? undefined : "Bearer secret");
});

test("a dropped connection goes on where it broke", async () => {
  server.faults.push(
    { path: "model.safetensors", dropAfter: 400_000 },
    { path: "model.safetensors", dropAfter: 300_000 },
  );
  await expectComplete(resolve());
  const starts = fileRequests()
    .filter(({ cdn }) => cdn)
    .map(({ range }) => Number(/\d+/.exec(range ?? "0")?.[0]));
  expect(starts).toHaveLength(3);
  expect(starts[0]).toBe(0);
  expect(starts[1]).toBeGreaterThan(0);
  expect(starts[2]).toBeGreaterThan(starts[1]!);
});

test("what an interrupted download left is used by the next", async () => {
  const abort = new AbortController();
  const onProgress = ({ doneBytes }: HubProgress) => doneBytes > 200_000 && abort.abort();
  await expect(resolve("org/model", { onProgress, signal: abort.signal })).rejects.toThrow("aborted");
  expect(() => readdirSync(snapshots())).toThrow("ENOENT");
  const [part] = blobs().filter((name) => name.endsWith(".part"));
  const kept = statSync(join(cache, "hub", "org--model", "blobs", part!)).size;
  expect(kept).toBeGreaterThan(200_000);
  server.requests.length = 0;
  await expectComplete(resolve());
  expect(fileRequests()[0]?.range).toBe(`bytes=${kept}-`);
});

test("a part of another running process is left alone", async () => {
  const folder = join(cache, "hub", "org--model", "blobs");
  mkdirSync(folder, { recursive: true });
  const sha256 = createHash("sha256").update(weights).digest("hex");
  const foreign = `${sha256}.${process.ppid}.part`;
  writeFileSync(join(folder, foreign), "theirs");
  await resolve();
  expect(readdirSync(snapshots())).toEqual([COMMIT]);
  expect(readFileSync(join(folder, foreign), "utf8")).toBe("theirs");
});

test.each([
  ["wrong bytes", Buffer.alloc(500_000)],
  ["more bytes than the file has", Buffer.alloc(2_000_000)],
])("a part with %s from an earlier run is replaced", async (_, content) => {
  await resolve();
  const folder = join(cache, "hub", "org--model", "blobs");
  const blob = blobs().find((name) => name.length === 64)!;
  rmSync(snapshots(), { recursive: true });
  rmSync(join(folder, blob));
  writeFileSync(join(folder, `${blob}.${process.pid}.part`), content);
  await expectComplete(resolve());
});

test("a server without ranges is asked for the whole file", async () => {
  server.faults.push(
    { path: "model.safetensors", dropAfter: 300_000 },
    { path: "model.safetensors", noRange: true, body: weights },
  );
  await expectComplete(resolve());
});

test.each([
  ["wrong bytes", Buffer.alloc(weights.byteLength)],
  ["too few bytes", weights.subarray(0, 1000)],
  ["too many bytes", Buffer.concat([weights, weights])],
])("%s are an error, and nothing of them stays", async (_, body) => {
  server.faults.push({ path: "model.safetensors", body });
  const error = await errorOf(resolve());
  expect(error).toMatchObject({ code: "ERR_HUB_CHECKSUM", exitCode: 1 });
  expect(error.message).toContain("model.safetensors");
  expect(() => readdirSync(snapshots())).toThrow("ENOENT");
  expect(blobs()).toHaveLength(1); // config.json
  await expectComplete(resolve());
});

test("a small file is checked by git's hash", async () => {
  server.faults.push({ path: "config.json", body: Buffer.from('{"model_type":"other"}') });
  expect((await errorOf(resolve())).code).toBe("ERR_HUB_CHECKSUM");
});

test("asked to slow down, it waits as long as it is told; in trouble, longer each time", async () => {
  server.faults.push(
    { path: "revision/main", status: 429, headers: { "retry-after": "7" } },
    { path: "model.safetensors", status: 503 },
    { path: "model.safetensors", status: 500 },
  );
  await expectComplete(resolve());
  expect(waits).toEqual([7000, 1000, 2000]);
});

test("after five tries it gives up with the reason", async () => {
  for (let i = 0; i < 5; i++) server.faults.push({ path: "revision/main", status: 429 });
  const error = await errorOf(resolve());
  expect(error).toMatchObject({ code: "ERR_HUB_BUSY", exitCode: 1 });
  expect(error.message).toContain("429");
  expect(waits).toEqual([1000, 2000, 4000, 8000]);
});

test("no connection at all is an error that says so", async () => {
  const gone = new HubServer();
  await gone.start();
  const { endpoint } = gone;
  await gone.stop();
  const error = await errorOf(resolve("org/model", { env: { HF_ENDPOINT: endpoint } }));
  expect(error).toMatchObject({ code: "ERR_HUB_CONNECTION", where: endpoint, exitCode: 1 });
  expect(error.message).toContain("ECONNREFUSED");
});

test("a private model without a token, and with a wrong one", async () => {
  server.repositories.get("org/model")!.token = "secret";
  expect(await errorOf(resolve())).toMatchObject({ code: "ERR_HUB_ACCESS", exitCode: 2 });
  const error = await errorOf(resolve("org/model", { env: { HF_TOKEN: "wrong" } }));
  expect(error.message).toContain("the token does not allow it (401 Invalid username or password.)");
  expect(error.format()).not.toContain("wrong");
  expect(waits).toEqual([]);
});

test("a model or revision that is not there", async () => {
  expect(await errorOf(resolve("org/none"))).toMatchObject({ code: "ERR_HUB_NOT_FOUND", exitCode: 2 });
  expect((await errorOf(resolve("org/model@v9"))).message).toContain(
    "there is no such revision of this model",
  );
});

test("offline, the cache is all there is", async () => {
  const env = { HF_HUB_OFFLINE: "1" };
  const error = await errorOf(resolve("org/model", { env }));
  expect(error).toMatchObject({ code: "ERR_HUB_OFFLINE", exitCode: 2 });
  await resolve();
  server.requests.length = 0;
  expect((await resolve("org/model", { env })).hub?.commit).toBe(COMMIT);
  expect((await resolve("org/model", { offline: true })).hub?.commit).toBe(COMMIT);
  expect((await errorOf(resolve("org/model@v2", { env }))).code).toBe("ERR_HUB_OFFLINE");
  expect(server.requests).toEqual([]);
});

test.each([
  "missing",
  "./missing",
  "/missing/model",
  "a/b/c",
  "../x/y",
  "org/..",
  "org/model@../x",
  "org/model@",
  "-/",
  "org/na me",
])("%j is neither a folder nor a name on the hub", async (name) => {
  expect(await errorOf(resolve(name))).toMatchObject({ code: "ERR_MODEL_NAME", exitCode: 2 });
  expect(server.requests).toEqual([]);
});

test("names that lead elsewhere are not fetched", async () => {
  const { files } = server.repositories.get("org/model")!;
  for (const name of ["../evil.json", "..\\evil.json", ".evil.json", "sub/evil.json", "C:evil.json"]) {
    files[name] = Buffer.from("evil");
  }
  await expectComplete(resolve());
});

test.each([
  "not json",
  '{"sha":"../..","siblings":[]}',
  `{"sha":"${COMMIT}","siblings":[{"rfilename":"model.safetensors","size":1,"blobId":"../../x"}]}`,
])("a listing such as %s is refused", async (body) => {
  server.faults.push({ path: "revision/main", body: Buffer.from(body) });
  expect((await errorOf(resolve())).code).toBe("ERR_HUB_LISTING");
});

test("a repository without weights says what it holds", async () => {
  server.repositories.get("org/model")!.files = { "config.json": config, "model.gguf": weights };
  const error = await errorOf(resolve());
  expect(error.code).toBe("ERR_WEIGHTS_NONE");
  expect(error.message).toContain("it holds config.json, model.gguf");
});

test("an endpoint that is no address is an error of the settings", async () => {
  expect((await errorOf(resolve("org/model", { env: { HF_ENDPOINT: "hub" } }))).code).toBe(
    "ERR_HUB_ENDPOINT",
  );
});
