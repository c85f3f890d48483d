import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  call,
  dict,
  numbers,
  op,
  pickle,
  storage,
  tensor,
  tuple,
} from "../../../../tests/faults/pickle-assembler.js";
import { torchArchive, zipArchive } from "../../../../tests/faults/zip-assembler.js";
import { ModelError } from "../errors.js";
import { readTorchFile } from "./tensor-unpickler.js";

const root = mkdtempSync(join(tmpdir(), "unpickler-"));
afterAll(() => rmSync(root, { recursive: true }));

function readBytes(bytes: Uint8Array) {
  const path = join(root, "pytorch_model.bin");
  writeFileSync(path, bytes);
  return readTorchFile(path);
}

function errorOf(bytes: Uint8Array): ModelError {
  try {
    for (const entry of readBytes(bytes)) entry.read();
  } catch (error) {
    if (error instanceof ModelError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

const twoFloats = storage("FloatStorage", "0", 2);
const bytesOfTwo = { 0: Buffer.from(Float32Array.of(1.5, -2).buffer) };
const sound = tensor(twoFloats, 0, [2], [1]);

test("named tensors come with dtype, shape and bytes; other values are left out", () => {
  const [weight, ...rest] = readBytes(
    torchArchive(pickle(dict({ weight: sound, epoch: op.int(3) })), bytesOfTwo),
  );
  expect(rest).toEqual([]);
  expect(weight).toMatchObject({ name: "weight", dtype: "float32", shape: [2] });
  expect(weight?.read()).toEqual(new Uint8Array(bytesOfTwo[0]));
});

test("an old OrderedDict made of pairs is read", () => {
  const pairs = Buffer.concat([op.emptyList, tuple(op.string("weight"), sound), op.append]);
  const entries = readBytes(torchArchive(pickle(call("collections", "OrderedDict", pairs)), bytesOfTwo));
  expect(entries.map(({ name }) => name)).toEqual(["weight"]);
});

const state = (weight: Buffer) => torchArchive(pickle(dict({ weight })), bytesOfTwo);

test.each<[string, Uint8Array, string, string]>([
  // What pickles may not do.
  ["os.system", state(call("os", "system", op.string("true"))), "ERR_PICKLE_FORBIDDEN", '"os.system"'],
  [
    "builtins.eval by the newer instruction",
    state(Buffer.concat([op.string("builtins"), op.string("eval"), op.stackGlobal])),
    "ERR_PICKLE_FORBIDDEN",
    '"builtins.eval"',
  ],
  [
    "a name with dots that climbs",
    state(op.global("torch", "_utils._rebuild_tensor_v2.__globals__")),
    "ERR_PICKLE_FORBIDDEN",
    "__globals__",
  ],
  [
    "a name that only looks allowed",
    state(op.global("torch._utils ", "_rebuild_tensor_v2")),
    "ERR_PICKLE_FORBIDDEN",
    "torch._utils ",
  ],
  [
    "a property of every object",
    state(op.global("toString", "constructor")),
    "ERR_PICKLE_FORBIDDEN",
    "toString.constructor",
  ],
  ["a dtype that is called", state(call("torch", "float32")), "ERR_PICKLE_DAMAGED", "torch.float32"],
  [
    "a storage class that is called",
    state(call("torch", "FloatStorage", op.int(9))),
    "ERR_PICKLE_DAMAGED",
    "torch.FloatStorage",
  ],
  [
    "a call of what a call returned",
    state(Buffer.concat([sound, op.emptyTuple, op.reduce])),
    "ERR_PICKLE_DAMAGED",
    "calls a tensor",
  ],
  [
    "a call of a string",
    state(Buffer.concat([op.string("x"), op.emptyTuple, op.reduce])),
    "ERR_PICKLE_DAMAGED",
    "calls a string",
  ],
  [
    "state set on a tensor",
    state(Buffer.concat([sound, op.emptyDict, op.build])),
    "ERR_PICKLE_DAMAGED",
    "sets the state of a tensor",
  ],
  ["NEWOBJ", state(Buffer.of(0x81)), "ERR_PICKLE_OPCODE", "NEWOBJ"],
  ["INST", state(Buffer.from("ios\nsystem\n")), "ERR_PICKLE_OPCODE", "INST"],
  ["EXT1", state(Buffer.of(0x82, 1)), "ERR_PICKLE_OPCODE", "EXT1"],
  [
    "a number of two billion bytes",
    state(Buffer.of(0x8b, 0xff, 0xff, 0xff, 0x7f)),
    "ERR_PICKLE_OPCODE",
    "LONG4",
  ],
  ["an unknown instruction", state(Buffer.of(0xff)), "ERR_PICKLE_OPCODE", "0xff"],
  // Pickles that are broken.
  [
    "a truncated pickle",
    torchArchive(pickle(dict({ weight: sound })).subarray(0, -9)),
    "ERR_PICKLE_DAMAGED",
    "ends in the middle",
  ],
  ["an empty pickle", torchArchive(Buffer.alloc(0)), "ERR_PICKLE_DAMAGED", "ends in the middle"],
  [
    "a string longer than the pickle",
    state(Buffer.of(0x58, 0xff, 0xff, 0xff, 0xff)),
    "ERR_PICKLE_DAMAGED",
    "ends in the middle",
  ],
  [
    "a name without an end",
    state(Buffer.concat([Buffer.from("c"), Buffer.alloc(5000, "x")])),
    "ERR_PICKLE_DAMAGED",
    "ends in the middle",
  ],
  ["an instruction without operands", torchArchive(pickle(op.reduce)), "ERR_PICKLE_DAMAGED", "not there"],
  ["a STOP on an empty stack", torchArchive(pickle()), "ERR_PICKLE_DAMAGED", "not there"],
  [
    "a list in place of a mark",
    torchArchive(pickle(op.emptyDict, op.setItems)),
    "ERR_PICKLE_DAMAGED",
    "mark is missing",
  ],
  [
    "a value taken from below a mark",
    torchArchive(pickle(op.emptyDict, op.mark, op.tuple1)),
    "ERR_PICKLE_DAMAGED",
    "not there",
  ],
  [
    "values left behind",
    torchArchive(pickle(op.none, op.none)),
    "ERR_PICKLE_DAMAGED",
    "leaves values behind",
  ],
  [
    "an empty memo slot",
    torchArchive(pickle(op.get(4_000_000_000))),
    "ERR_PICKLE_DAMAGED",
    "memo slot 4000000000 is empty",
  ],
  ["protocol 0", torchArchive(Buffer.of(0x80, 0, 0x4e, 0x2e)), "ERR_PICKLE_DAMAGED", "protocol 0"],
  [
    "a dict as a key",
    torchArchive(pickle(op.emptyDict, op.emptyDict, op.none, op.setItem)),
    "ERR_PICKLE_DAMAGED",
    "a key of a dict is a dict",
  ],
  [
    "a tensor's name twice",
    torchArchive(pickle(dict({ weight: sound }), op.string("weight"), sound, op.setItem), bytesOfTwo),
    "ERR_PICKLE_DAMAGED",
    '"weight" comes twice',
  ],
  // Tensors that cannot be.
  [
    "a tensor longer than its storage",
    state(tensor(twoFloats, 0, [3], [1])),
    "ERR_PICKLE_DAMAGED",
    "reaches element 2 of a storage that has 2",
  ],
  [
    "an offset past the storage",
    state(tensor(twoFloats, 2, [1], [1])),
    "ERR_PICKLE_DAMAGED",
    "reaches element 2",
  ],
  [
    "a stride past the storage",
    state(tensor(twoFloats, 0, [2], [2])),
    "ERR_PICKLE_DAMAGED",
    "reaches element 2",
  ],
  [
    "a stride that overflows",
    state(tensor(twoFloats, 0, [2 ** 24], [2 ** 52])),
    "ERR_PICKLE_DAMAGED",
    "reaches element",
  ],
  ["a negative offset", state(tensor(twoFloats, -1, [1], [1])), "ERR_PICKLE_DAMAGED", "is not one"],
  ["a negative dimension", state(tensor(twoFloats, 0, [-1], [1])), "ERR_PICKLE_DAMAGED", "is not one"],
  ["a negative stride", state(tensor(twoFloats, 1, [2], [-1])), "ERR_PICKLE_DAMAGED", "is not one"],
  [
    "fewer strides than dimensions",
    state(tensor(twoFloats, 0, [1, 1], [1])),
    "ERR_PICKLE_DAMAGED",
    "is not one",
  ],
  [
    "a shape past 2^53",
    state(tensor(twoFloats, 0, [2 ** 40, 2 ** 40], [0, 0])),
    "ERR_PICKLE_DAMAGED",
    "impossibly large",
  ],
  [
    "65 dimensions",
    state(tensor(twoFloats, 0, Array(65).fill(1), Array(65).fill(1))),
    "ERR_PICKLE_DAMAGED",
    "impossibly large",
  ],
  [
    "8 bytes expanded to 4 TB",
    state(tensor(twoFloats, 0, [2 ** 40], [0])),
    "ERR_WEIGHTS_EXPANDED",
    "expands to 4398046511104 bytes",
  ],
  [
    "a tensor made of a string",
    state(tensor(op.string("x"), 0, [1], [1])),
    "ERR_PICKLE_DAMAGED",
    "made of a string",
  ],
  [
    "a tensor without arguments",
    state(call("torch._utils", "_rebuild_tensor_v2")),
    "ERR_PICKLE_DAMAGED",
    "made of None",
  ],
  [
    "a size that is a list",
    state(call("torch._utils", "_rebuild_tensor_v2", twoFloats, op.int(0), op.emptyList, numbers(1))),
    "ERR_PICKLE_DAMAGED",
    "is not one",
  ],
  [
    "an outside object that is no storage",
    state(Buffer.concat([tuple(op.string("module")), op.persid])),
    "ERR_PICKLE_DAMAGED",
    "no storage",
  ],
  [
    "an outside object that is a number",
    state(Buffer.concat([op.int(1), op.persid])),
    "ERR_PICKLE_DAMAGED",
    "no storage",
  ],
  [
    "a storage of negative size",
    state(tensor(storage("FloatStorage", "0", -1), 0, [0], [1])),
    "ERR_PICKLE_DAMAGED",
    "impossible size",
  ],
  [
    "one storage of two types",
    torchArchive(
      pickle(dict({ a: sound, b: tensor(storage("IntStorage", "0", 2), 0, [2], [1]) })),
      bytesOfTwo,
    ),
    "ERR_PICKLE_DAMAGED",
    "described in two ways",
  ],
  // Archives that do not fit their pickle.
  [
    "a missing storage",
    torchArchive(pickle(dict({ weight: sound }))),
    "ERR_WEIGHTS_TRUNCATED",
    'storage "0" is missing',
  ],
  [
    "a short storage",
    torchArchive(pickle(dict({ weight: sound })), { 0: Buffer.alloc(7) }),
    "ERR_WEIGHTS_TRUNCATED",
    "has 7 bytes instead of 8",
  ],
  [
    "a storage key that climbs",
    torchArchive(
      pickle(dict({ weight: tensor(storage("FloatStorage", "../data.pkl", 2), 0, [2], [1]) })),
      bytesOfTwo,
    ),
    "ERR_WEIGHTS_TRUNCATED",
    'storage "../data.pkl" is missing',
  ],
  [
    "bytes that changed",
    zipArchive([
      { name: "m/data.pkl", data: pickle(dict({ weight: sound })) },
      { name: "m/data/0", data: bytesOfTwo[0], crc32: 1 },
    ]),
    "ERR_WEIGHTS_CHECKSUM",
    "do not match",
  ],
  [
    "a pickle that changed",
    zipArchive([{ name: "m/data.pkl", data: pickle(), crc32: 1 }]),
    "ERR_WEIGHTS_CHECKSUM",
    "do not match",
  ],
  [
    "big-endian numbers",
    zipArchive([
      { name: "m/data.pkl", data: pickle() },
      { name: "m/byteorder", data: Buffer.from("big") },
    ]),
    "ERR_WEIGHTS_FORMAT",
    "not little-endian",
  ],
  [
    "a TorchScript program",
    zipArchive([
      { name: "m/data.pkl", data: pickle() },
      { name: "m/constants.pkl", data: pickle() },
    ]),
    "ERR_WEIGHTS_FORMAT",
    "TorchScript",
  ],
  [
    "another archive",
    zipArchive([{ name: "readme.txt", data: Buffer.from("hi") }]),
    "ERR_WEIGHTS_FORMAT",
    "no data.pkl",
  ],
  [
    "a dict without tensors",
    torchArchive(pickle(dict({ a: op.int(1) }))),
    "ERR_WEIGHTS_EMPTY",
    "no dictionary of named tensors",
  ],
  [
    "a bare tensor",
    torchArchive(pickle(sound), bytesOfTwo),
    "ERR_WEIGHTS_EMPTY",
    "no dictionary of named tensors",
  ],
  ["text", Buffer.from("<html>not found</html>"), "ERR_WEIGHTS_FORMAT", "not a file that torch.save wrote"],
  ["an empty file", Buffer.alloc(0), "ERR_WEIGHTS_FORMAT", "not a file that torch.save wrote"],
])("%s: one error that names it", (_, bytes, code, message) => {
  const error = errorOf(bytes);
  expect(error.message).toContain(message);
  expect(error.code).toBe(code);
  expect(error.where).toContain("pytorch_model.bin");
});

test("bombs end at a limit, and soon", () => {
  const many = (part: Buffer, count: number) => Buffer.concat(Array(count).fill(part));
  const bombs: [string, Buffer][] = [
    ["lists on the stack", many(op.emptyList, 5_000_000)],
    ["marks on the stack", many(op.mark, 5_000_000)],
    ["one value, ten million times", Buffer.concat([op.emptyList, many(Buffer.of(0x71, 0), 10_000_000)])],
  ];
  for (const [name, bomb] of bombs) {
    const started = performance.now();
    expect(errorOf(torchArchive(pickle(bomb))).code, name).toBe("ERR_PICKLE_LIMIT");
    expect(performance.now() - started, name).toBeLessThan(10_000);
  }
});

test("nesting and doubling cost no more than their instructions", () => {
  const deep = Buffer.concat([op.emptyTuple, ...Array(1_000_000).fill(op.tuple1)]);
  // Each list holds the one before it twice: 2^200 leaves for whoever walks it, 200 lists for whoever does not.
  const doubling = [op.emptyList, op.put(0)];
  for (let level = 1; level <= 200; level++) {
    doubling.push(
      op.emptyList,
      op.get(level - 1),
      op.append,
      op.get(level - 1),
      op.append,
      op.put(level),
      op.append,
    );
  }
  const extra = dict({ weight: sound, deep, doubling: Buffer.concat(doubling) });
  expect(readBytes(torchArchive(pickle(extra), bytesOfTwo)).map(({ name }) => name)).toEqual(["weight"]);
});

test("a list that holds itself is no problem", () => {
  const self = Buffer.concat([op.emptyList, op.put(0), op.get(0), op.append]);
  expect(readBytes(torchArchive(pickle(dict({ weight: sound, self })), bytesOfTwo))).toHaveLength(1);
});
