import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensorsFile } from "@camelid/torch";
import { afterAll, beforeEach, expect, test } from "vitest";
import { dict, pickle, storage, tensor } from "../../../../tests/faults/pickle-assembler.js";
import { torchArchive } from "../../../../tests/faults/zip-assembler.js";
import { ModelError } from "../errors.js";
import { openWeights } from "./weight-index.js";

const root = mkdtempSync(join(tmpdir(), "weight-index-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "model-"));
});

/** A file with these tensors, each [2] of uint8. */
function safetensors(file: string, values: Record<string, [number, number]>): void {
  const entries = Object.entries(values).map(([name, value]) => ({
    name,
    dtype: "U8" as const,
    shape: [2],
    bytes: () => Uint8Array.from(value),
  }));
  writeSafetensorsFile(join(folder, file), entries);
}

function torchFile(file: string, values: Record<string, [number, number]>): void {
  const names = Object.keys(values);
  const tensors = names.map((name, i) => [name, tensor(storage("ByteStorage", String(i), 2), 0, [2], [1])]);
  const storages = Object.values(values).map((value, i) => [i, Uint8Array.from(value)]);
  writeFileSync(
    join(folder, file),
    torchArchive(pickle(dict(Object.fromEntries(tensors))), Object.fromEntries(storages)),
  );
}

function index(weightMap: unknown, file = "model.safetensors.index.json"): void {
  writeFileSync(join(folder, file), JSON.stringify({ metadata: { total_size: 4 }, weight_map: weightMap }));
}

function error(): ModelError {
  try {
    openWeights(folder);
  } catch (thrown) {
    if (thrown instanceof ModelError) return thrown;
    throw thrown;
  }
  throw new Error("no error was thrown");
}

const values = () =>
  Object.fromEntries([...openWeights(folder).entries].map(([name, entry]) => [name, [...entry.read()]]));

test("one safetensors file", () => {
  safetensors("model.safetensors", { a: [1, 2], b: [3, 4] });
  expect(values()).toEqual({ a: [1, 2], b: [3, 4] });
  const weights = openWeights(folder);
  expect(weights).toMatchObject({
    format: "safetensors",
    totalBytes: 4,
    files: [join(folder, "model.safetensors")],
  });
  expect(weights.entries.get("a")).toMatchObject({ dtype: "uint8", shape: [2], slice: { length: 2 } });
});

test("safetensors shards", () => {
  safetensors("model-00001-of-00002.safetensors", { a: [1, 2] });
  safetensors("model-00002-of-00002.safetensors", { b: [3, 4] });
  index({ b: "model-00002-of-00002.safetensors", a: "model-00001-of-00002.safetensors" });
  expect(values()).toEqual({ a: [1, 2], b: [3, 4] });
});

test("one PyTorch file, and PyTorch shards", () => {
  torchFile("pytorch_model.bin", { a: [1, 2], b: [3, 4] });
  expect(values()).toEqual({ a: [1, 2], b: [3, 4] });
  rmSync(join(folder, "pytorch_model.bin"));
  torchFile("one.bin", { a: [5, 6] });
  torchFile("two.bin", { b: [7, 8] });
  index({ a: "one.bin", b: "two.bin" }, "pytorch_model.bin.index.json");
  expect(values()).toEqual({ a: [5, 6], b: [7, 8] });
});

test("safetensors are preferred to a pickle", () => {
  writeFileSync(join(folder, "pytorch_model.bin"), "hostile");
  safetensors("model.safetensors", { a: [1, 2] });
  expect(values()).toEqual({ a: [1, 2] });
});

test("a tensor that the index does not name is there all the same", () => {
  safetensors("one.safetensors", { a: [1, 2], "rotary_emb.inv_freq": [0, 0] });
  index({ a: "one.safetensors" });
  expect(Object.keys(values())).toEqual(["a", "rotary_emb.inv_freq"]);
});

test("missing shards are named, all at once", () => {
  safetensors("one.safetensors", { a: [1, 2] });
  index({ a: "one.safetensors", b: "two.safetensors", c: "three.safetensors" });
  expect(error().format()).toBe(
    [
      "ModelError [ERR_WEIGHTS_MISSING_SHARD]: 2 of 3 weight files are missing: three.safetensors, two.safetensors.",
      `  where: ${join(folder, "model.safetensors.index.json")}`,
      "  fix:   download the model again; finished files are kept.",
    ].join("\n"),
  );
});

test("a tensor that is not in its shard is an error, also when another shard has it", () => {
  safetensors("one.safetensors", { a: [1, 2] });
  safetensors("two.safetensors", { b: [3, 4] });
  index({ a: "one.safetensors", b: "two.safetensors", c: "two.safetensors" });
  expect(error().message).toBe(
    '1 tensors are not in the file that the index names, such as "c" in two.safetensors.',
  );
  index({ a: "two.safetensors", b: "one.safetensors" });
  expect(error().code).toBe("ERR_WEIGHTS_INDEX");
});

test("a tensor in two shards is an error", () => {
  safetensors("one.safetensors", { a: [1, 2], b: [1, 2] });
  safetensors("two.safetensors", { b: [3, 4] });
  index({ a: "one.safetensors", b: "two.safetensors" });
  expect(error()).toMatchObject({
    code: "ERR_WEIGHTS_DUPLICATE",
    message: 'the tensor "b" is in two files.',
  });
});

test.each([
  "../secret.safetensors",
  "/etc/x.safetensors",
  "sub/x.safetensors",
  "..\\x.safetensors",
  "C:x.safetensors",
  "a\0.safetensors",
  "..",
  ".safetensors",
  "",
  "x.bin",
])("an index that points to %j is refused", (file) => {
  mkdirSync(join(folder, "sub"));
  safetensors("sub/x.safetensors", { a: [1, 2] });
  index({ a: file });
  expect(error()).toMatchObject({ code: "ERR_WEIGHTS_INDEX" });
  expect(error().message).toContain("is not the name of a .safetensors file in this folder");
});

test.each([
  ["no JSON", "{", "the index is not valid JSON."],
  ["no weight_map", "{}", "the index has no weight_map from tensor names to file names."],
  [
    "a weight_map of numbers",
    '{"weight_map":{"a":1}}',
    "the index has no weight_map from tensor names to file names.",
  ],
])("an index with %s is refused", (_, content, message) => {
  writeFileSync(join(folder, "model.safetensors.index.json"), content);
  expect(error()).toMatchObject({ code: "ERR_WEIGHTS_INDEX", message });
});

test("a damaged safetensors file keeps its own code and place", () => {
  writeFileSync(join(folder, "model.safetensors"), "short");
  expect(error()).toMatchObject({
    code: "ERR_SAFETENSORS_TRUNCATED",
    where: join(folder, "model.safetensors"),
    exitCode: 2,
  });
});

test("a Git LFS pointer is called by its name", () => {
  writeFileSync(
    join(folder, "model.safetensors"),
    "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
  );
  expect(error()).toMatchObject({ code: "ERR_WEIGHTS_LFS_POINTER" });
});

test("a folder without weights says what is there", () => {
  expect(error().message).toBe("the folder holds no weights; the folder is empty.");
  writeFileSync(join(folder, "model.gguf"), "");
  expect(error()).toMatchObject({
    code: "ERR_WEIGHTS_NONE",
    message: "the folder holds no weights; it holds model.gguf.",
  });
  expect(() => openWeights(join(folder, "no"))).toThrow("there is no such folder.");
});
