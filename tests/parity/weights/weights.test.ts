import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensorsHeader, SAFETENSORS_DTYPES, writeSafetensorsFile } from "@camelid/torch";
import { afterAll, expect, test } from "vitest";
import { ModelError } from "../../../packages/camelid/src/errors.js";
import { readTorchFile } from "../../../packages/camelid/src/weights/tensor-unpickler.js";
import type { WeightEntry } from "../../../packages/camelid/src/weights/weight-entry.js";
import { openWeights } from "../../../packages/camelid/src/weights/weight-index.js";
import { reference, referenceFile } from "./reference.js";

const root = mkdtempSync(join(tmpdir(), "weights-"));
afterAll(() => rmSync(root, { recursive: true }));

const read = (entries: Iterable<WeightEntry>) =>
  Object.fromEntries(
    [...entries].map((entry) => {
      const { name, dtype, shape } = entry;
      return [name, { dtype, shape, bytes: Buffer.from(entry.read()).toString("hex") }];
    }),
  );

function modelFolder(file: string, as: string): string {
  const folder = mkdtempSync(join(root, "model-"));
  copyFileSync(referenceFile(file), join(folder, as));
  return folder;
}

test.each(["reference.safetensors", "aligned.safetensors"])(
  "%s of the official library is read exactly",
  (file) => {
    const weights = openWeights(modelFolder(file, "model.safetensors"));
    expect(weights.format).toBe("safetensors");
    expect(read(weights.entries.values())).toEqual(reference.safetensors);
  },
);

test("what we write equals the official library's file, but for the longer padding", () => {
  const source = referenceFile("reference.safetensors");
  const { tensors, dataOffset, metadata } = readSafetensorsHeader(source);
  const file = readFileSync(source);
  const entries = [...tensors].map(([name, { dtype, shape, begin, end }]) => ({
    name,
    dtype,
    shape,
    bytes: () => file.subarray(dataOffset + begin, dataOffset + end),
  }));
  expect(new Set(entries.map(({ dtype }) => dtype))).toEqual(new Set(Object.keys(SAFETENSORS_DTYPES)));
  const path = join(root, "ours.safetensors");
  writeSafetensorsFile(path, entries.reverse(), metadata);
  expect(readFileSync(path).equals(readFileSync(referenceFile("aligned.safetensors")))).toBe(true);
});

test.each(["zip.bin", "zip64.bin", "no-crc.bin", "protocol4.bin", "nested.bin", "legacy.bin"])(
  "%s of torch.save is read exactly: all dtypes, views, shared storages",
  (file) => {
    const weights = openWeights(modelFolder(file, "pytorch_model.bin"));
    expect(weights.format).toBe("pytorch");
    expect(read(weights.entries.values())).toEqual(reference.torch);
    expect([...weights.entries.keys()]).toEqual(Object.keys(reference.torch));
  },
);

test.each(["zip.bin", "legacy.bin"])(
  "in %s a slice is the tensor's place in the file, shared where the storage is",
  (file) => {
    const path = referenceFile(file);
    const bytes = readFileSync(path);
    const entries = new Map(readTorchFile(path).map((entry) => [entry.name, entry]));
    for (const { name, slice } of entries.values()) {
      if (slice === undefined) continue;
      const found = bytes.subarray(slice.offset, slice.offset + slice.length).toString("hex");
      expect(found, name).toBe(reference.torch[name]?.bytes);
    }
    expect(entries.get("alias")?.slice).toEqual(entries.get("base")?.slice);
    expect(entries.get("transposed")?.slice).toBeUndefined();
  },
);

test.each([
  ["os-system", "posix.system"],
  ["eval", "__builtin__.eval"],
  ["exec-in-state", "__builtin__.exec"],
  ["popen", "commands.Popen"], // Python writes the names of Python 2 in protocol 2,
  ["getattr", "__builtin__.getattr"],
  ["nested", "__main__.Calls"],
  ["pickle-loads", "pickle.loads"],
  ["module", "torch.nn.modules.linear.Linear"],
  ["sparse", "torch._utils._rebuild_sparse_tensor"],
])("the pickle %s is refused by the name it asks for, %s", (file, name) => {
  const path = referenceFile(`hostile-${file}.bin`);
  try {
    readTorchFile(path);
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect(error.code).toBe("ERR_PICKLE_FORBIDDEN");
    expect(error.message).toContain(JSON.stringify(name));
    expect(error.where).toContain(path);
    expect(error.fix).toContain("safetensors");
    expect(error.exitCode).toBe(2);
  }
});
