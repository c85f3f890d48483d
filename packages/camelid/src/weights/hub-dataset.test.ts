import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HubServer } from "../../../../tests/faults/hub-server.js";
import { resolveDataset } from "./hub-dataset.js";

const cache = mkdtempSync(join(tmpdir(), "camelid-hub-data-"));
const server = new HubServer();
const commit = "0123456789abcdef0123456789abcdef01234567";
const shard = Buffer.from('{"prompt": "q", "completion": "a"}\n'.repeat(1000));
beforeAll(async () => {
  await server.start();
  const files = {
    "README.md": Buffer.from("card"),
    "data/train-00000.jsonl": shard,
    "data/train-00001.jsonl": Buffer.from("{}\n"),
    "data/test-00000.jsonl": Buffer.from("{}\n"),
    "../evil.jsonl": Buffer.from("{}"),
  };
  server.repositories.set("org/set", { commit, files, lfs: ["data/train-00000.jsonl"] });
});
afterAll(async () => {
  await server.stop();
  rmSync(cache, { recursive: true });
});

const resolve = (name: string) =>
  resolveDataset(name, { env: { HF_ENDPOINT: server.endpoint }, cache, sleep: async () => {} });
const names = (files: readonly string[]) =>
  files.map((file) => relative(cache, file).split("/").slice(-2).join("/"));

test("the train files of a data set are fetched, pinned to a commit", async () => {
  const { files, hub } = await resolve("hub:org/set");
  expect(names(files)).toEqual(["data/train-00000.jsonl", "data/train-00001.jsonl"]);
  expect(hub).toEqual({ id: "datasets/org/set", revision: "main", commit });
  expect(readFileSync(files[0]!).equals(shard)).toBe(true);
  const asked = server.requests.length;
  await resolve(`hub:org/set@${commit}`);
  expect(server.requests).toHaveLength(asked); // a pinned revision needs no network
});

test("a pattern names the files wanted, and goes on where a broken connection stopped", async () => {
  server.faults.push({ path: "data/test-00000.jsonl", dropAfter: 1 });
  const { files } = await resolve("hub:org/set@main:data/test-*.jsonl");
  expect(names(files)).toEqual(["data/test-00000.jsonl"]);
  expect(server.requests.filter(({ range }) => range === "bytes=1-")).toHaveLength(1);
});

test("names that match nothing, or are no names, say what there is", async () => {
  await expect(resolve("hub:org/set@main:nothing.csv")).rejects.toThrow(/no file matches/);
  await expect(resolve("hub:just-a-name")).rejects.toThrow(/not the name of a data set/);
  await expect(resolve("hub:org/absent")).rejects.toThrow(/no such/);
});
