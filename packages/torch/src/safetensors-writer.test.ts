import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { SafetensorsError } from "./errors.js";
import { readSafetensorsHeader } from "./safetensors-reader.js";
import { type SafetensorsEntry, writeSafetensorsFile } from "./safetensors-writer.js";

const root = mkdtempSync(join(tmpdir(), "safetensors-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "test-"));
  path = join(folder, "model.safetensors");
});

const entry = (
  name: string,
  dtype: SafetensorsEntry["dtype"],
  shape: number[],
  bytes: number[],
): SafetensorsEntry => ({
  name,
  dtype,
  shape,
  bytes: () => Uint8Array.from(bytes),
});

test("what is written is read back, and its data starts at a multiple of 64", () => {
  for (let length = 0; length < 70; length++) {
    writeSafetensorsFile(path, [entry("t".repeat(length), "U8", [3], [1, 2, 3])], { format: "pt" });
    const header = readSafetensorsHeader(path);
    expect(header.dataOffset % 64).toBe(0);
    expect(header.dataOffset).toBeLessThan(256);
    expect([...header.tensors.keys()]).toEqual(["t".repeat(length)]);
    expect([...readFileSync(path).subarray(header.dataOffset)]).toEqual([1, 2, 3]);
  }
});

test("wide dtypes come first, then names in the order of their UTF-8 bytes", () => {
  const entries = [
    entry("a", "U8", [1], [1]),
    entry("\u{1f600}", "F16", [1], [2, 2]), // in UTF-16 this sorts before the next one
    entry("\uffee", "F16", [1], [3, 3]),
    entry("z", "I64", [], [4, 4, 4, 4, 4, 4, 4, 4]),
    entry("b", "F32", [1], [5, 5, 5, 5]),
  ];
  writeSafetensorsFile(path, entries);
  const { tensors, dataOffset } = readSafetensorsHeader(path);
  expect([...tensors.keys()]).toEqual(["z", "b", "\uffee", "\u{1f600}", "a"]);
  expect([...readFileSync(path).subarray(dataOffset)]).toEqual([
    4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 3, 3, 2, 2, 1,
  ]);
});

test("one tensor at a time is asked for, once, in the order of the file", () => {
  const asked: string[] = [];
  const recorded = (name: string, dtype: "U8" | "I16") => ({
    ...entry(name, dtype, [1], []),
    bytes: () => {
      asked.push(name);
      return new Uint8Array(dtype === "U8" ? 1 : 2);
    },
  });
  writeSafetensorsFile(path, [recorded("small", "U8"), recorded("large", "I16")]);
  expect(asked).toEqual(["large", "small"]);
});

test("size and checksum are those of the file", () => {
  const large = {
    ...entry("large", "U8", [20_000_000], []),
    bytes: () => new Uint8Array(20_000_000).fill(7),
  };
  const written = writeSafetensorsFile(path, [large]);
  const bytes = readFileSync(path);
  expect(written).toEqual({
    sizeBytes: bytes.byteLength,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  });
});

test("when a tensor fails, the old file is as it was and nothing else is left", () => {
  writeFileSync(path, "the old file");
  const failing = {
    ...entry("b", "U8", [1], []),
    bytes: () => {
      throw new RangeError("out of memory");
    },
  };
  expect(() => writeSafetensorsFile(path, [entry("a", "U8", [1], [1]), failing])).toThrow(RangeError);
  expect(readdirSync(folder)).toEqual(["model.safetensors"]);
  expect(readFileSync(path, "utf8")).toBe("the old file");
});

test.each([
  ["bytes of the wrong length", [entry("a", "F32", [2], [1, 2, 3])], "ERR_SAFETENSORS_WRITE"],
  ["a name twice", [entry("a", "U8", [], [1]), entry("a", "U8", [], [1])], "ERR_SAFETENSORS_DUPLICATE"],
  ["the reserved name", [entry("__metadata__", "U8", [], [1])], "ERR_SAFETENSORS_DUPLICATE"],
  ["a negative dimension", [entry("a", "U8", [-1], [])], "ERR_SAFETENSORS_SHAPE"],
  ["an unknown dtype", [entry("a", "float32" as "F32", [1], [])], "ERR_SAFETENSORS_SHAPE"],
])("%s makes no file", (_, entries, code) => {
  expect(() => writeSafetensorsFile(path, entries)).toThrow(expect.objectContaining({ code }));
  expect(readdirSync(folder)).toEqual([]);
});

test("a folder that is not there is an error of this family", () => {
  expect(() => writeSafetensorsFile(join(folder, "no", "model.safetensors"), [])).toThrow(SafetensorsError);
  expect(() => readSafetensorsHeader(join(folder, "no"))).toThrow(
    expect.objectContaining({ code: "ERR_SAFETENSORS_FILE" }),
  );
  expect(() => readSafetensorsHeader(folder)).toThrow(
    expect.objectContaining({ code: "ERR_SAFETENSORS_FILE" }),
  );
});

test("a file cut at any byte is refused", () => {
  writeSafetensorsFile(path, [entry("a", "F32", [1], [1, 2, 3, 4]), entry("b", "U8", [1], [1])]);
  for (let size = readFileSync(path).byteLength - 1; size >= 0; size--) {
    truncateSync(path, size);
    expect(() => readSafetensorsHeader(path), `${size} bytes`).toThrow(SafetensorsError);
  }
});
