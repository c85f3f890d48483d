import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { dict, op, pickle, storage, tensor } from "../../../../tests/faults/pickle-assembler.js";
import { ModelError } from "../errors.js";
import { readTorchFile } from "./tensor-unpickler.js";

const root = mkdtempSync(join(tmpdir(), "legacy-"));
afterAll(() => rmSync(root, { recursive: true }));

function readBytes(bytes: Uint8Array) {
  const path = join(root, "pytorch_model.bin");
  writeFileSync(path, bytes);
  return readTorchFile(path);
}

const MAGIC = Buffer.concat([Buffer.of(0x8a, 10), Buffer.from("6cfc9c46f9206aa85019", "hex")]);
const elements = (count: bigint, bytes: Uint8Array) =>
  Buffer.concat([Buffer.from(BigInt64Array.of(count).buffer), bytes]);
const list = (...items: Buffer[]) =>
  Buffer.concat([op.emptyList, ...items.map((item) => Buffer.concat([item, op.append]))]);

const sound = {
  magic: MAGIC,
  version: op.int(1001),
  machine: dict({ little_endian: Buffer.of(0x88) }),
  state: dict({
    first: tensor(storage("ByteStorage", "7", 3), 0, [3], [1]),
    second: tensor(storage("ShortStorage", "5", 2), 1, [1], [1]),
  }),
  keys: list(op.string("5"), op.string("7")),
  data: Buffer.concat([elements(2n, Uint8Array.of(1, 0, 2, 0)), elements(3n, Uint8Array.of(7, 8, 9))]),
};

/** A file of the form before 1.6, in which some parts are others. */
function legacyFile(other: Partial<typeof sound> = {}): Buffer {
  const { magic, version, machine, state, keys, data } = { ...sound, ...other };
  return Buffer.concat([...[magic, version, machine, state, keys].map((part) => pickle(part)), data]);
}

test("storages are found in the order of their keys", () => {
  const values = readBytes(legacyFile()).map((entry) => [entry.name, [...entry.read()]]);
  expect(values).toEqual([
    ["first", [7, 8, 9]],
    ["second", [2, 0]],
  ]);
});

test.each<[string, Partial<typeof sound>, string, string]>([
  ["another magic number", { magic: op.int(1) }, "ERR_WEIGHTS_FORMAT", "not a file that torch.save wrote"],
  ["another version", { version: op.int(1000) }, "ERR_WEIGHTS_FORMAT", "a version of torch.save's format"],
  [
    "big-endian numbers",
    { machine: dict({ little_endian: Buffer.of(0x89) }) },
    "ERR_WEIGHTS_FORMAT",
    "not little-endian",
  ],
  ["keys that are no list", { keys: op.none }, "ERR_WEIGHTS_TRUNCATED", "the list of storages is missing"],
  [
    "a key that no tensor names",
    { keys: list(op.string("5"), op.string("6")) },
    "ERR_WEIGHTS_TRUNCATED",
    "the list of storages is wrong",
  ],
  [
    "a key twice",
    { keys: list(op.string("5"), op.string("5")) },
    "ERR_WEIGHTS_TRUNCATED",
    "the list of storages is wrong",
  ],
  [
    "a key that is missing",
    { keys: list(op.string("5")) },
    "ERR_WEIGHTS_TRUNCATED",
    'storage "7" is missing',
  ],
  [
    "more elements than the tensors say",
    { data: elements(4n, Buffer.alloc(99)) },
    "ERR_WEIGHTS_TRUNCATED",
    "another size than its tensors say",
  ],
  [
    "a negative number of elements",
    { data: elements(-2n, Buffer.alloc(99)) },
    "ERR_WEIGHTS_TRUNCATED",
    "another size than its tensors say",
  ],
])("%s: one error that names it", (_, other, code, message) => {
  const read = () => readBytes(legacyFile(other));
  expect(read).toThrow(message);
  expect(read).toThrow(
    expect.objectContaining({ code, where: expect.stringContaining("pytorch_model.bin") }),
  );
});

test("a file cut at any byte is refused", () => {
  const whole = legacyFile();
  for (let size = 0; size < whole.byteLength; size++) {
    expect(() => readBytes(whole.subarray(0, size)), `${size} bytes`).toThrow(ModelError);
  }
});
