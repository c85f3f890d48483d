import { expect, test } from "vitest";
import { SafetensorsError } from "./errors.js";
import { checkHeaderLength, parseSafetensorsHeader } from "./safetensors-format.js";

const FILE = "model.safetensors";

/** Parses a header given as text or value, followed by `dataLength` bytes of data. */
function parse(header: unknown, dataLength = 0) {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  return parseSafetensorsHeader(json, 8 + json.byteLength + dataLength, FILE);
}

const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

function errorOf(action: () => unknown): SafetensorsError {
  try {
    action();
  } catch (error) {
    if (error instanceof SafetensorsError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

test("a header gives every tensor's place, in the order of their bytes", () => {
  const header = parse(
    { b: f32(8, 16), a: f32(0, 8, [2, 1]), none: f32(16, 16), __metadata__: { format: "pt" } },
    16,
  );
  expect([...header.tensors]).toEqual([
    ["a", { dtype: "F32", shape: [2, 1], begin: 0, end: 8 }],
    ["b", { dtype: "F32", shape: [2], begin: 8, end: 16 }],
    ["none", { dtype: "F32", shape: [0], begin: 16, end: 16 }],
  ]);
  expect(header.metadata).toEqual({ format: "pt" });
  expect(header.fileSize).toBe(header.dataOffset + 16);
});

test("padding, escapes, white space and an empty file are fine", () => {
  expect(parse("{}        \n", 0).tensors.size).toBe(0);
  expect([
    ...parse('{ "a\\"\\u00e9" : {"shape":[ ],"dtype":"U8" ,"data_offsets":[0,1]} }', 1).tensors.keys(),
  ]).toEqual(['a"é']);
  expect(parse('{"__metadata__":{"__proto__":"x"}}').metadata).toHaveProperty(["__proto__"], "x");
});

test.each([
  ["not JSON", "hello", "ERR_SAFETENSORS_HEADER"],
  ["an array", "[]", "ERR_SAFETENSORS_HEADER"],
  ["nothing", "", "ERR_SAFETENSORS_HEADER"],
  ["text after the end", "{} {}", "ERR_SAFETENSORS_HEADER"],
  ["an unclosed string", '{"a', "ERR_SAFETENSORS_HEADER"],
  ["a string that ends in a backslash", '{"a\\', "ERR_SAFETENSORS_HEADER"],
  ["a line break in a string", '{"a\n":1}', "ERR_SAFETENSORS_HEADER"],
  ["a broken escape", '{"\\x":1}', "ERR_SAFETENSORS_HEADER"],
  ["a number for a tensor", '{"a":1}', "ERR_SAFETENSORS_HEADER"],
  ["metadata that is no string", '{"__metadata__":{"a":1}}', "ERR_SAFETENSORS_HEADER"],
  ["nested metadata", '{"__metadata__":{"a":{}}}', "ERR_SAFETENSORS_HEADER"],
  ["a missing field", '{"a":{"dtype":"F32","shape":[]}}', "ERR_SAFETENSORS_HEADER"],
  [
    "an unknown field",
    '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}}',
    "ERR_SAFETENSORS_HEADER",
  ],
  ["one offset", '{"a":{"dtype":"U8","shape":[],"data_offsets":[0]}}', "ERR_SAFETENSORS_HEADER"],
  ["three offsets", '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1,2]}}', "ERR_SAFETENSORS_HEADER"],
  [
    "a negative dimension",
    '{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}',
    "ERR_SAFETENSORS_HEADER",
  ],
  ["a fraction", '{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', "ERR_SAFETENSORS_HEADER"],
  ["an exponent", '{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', "ERR_SAFETENSORS_HEADER"],
  ["a leading zero", '{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', "ERR_SAFETENSORS_HEADER"],
  [
    "a number past 2^53",
    '{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}',
    "ERR_SAFETENSORS_HEADER",
  ],
  [
    "the same tensor twice",
    '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
    "ERR_SAFETENSORS_DUPLICATE",
  ],
  ["metadata twice", '{"__metadata__":{},"__metadata__":{}}', "ERR_SAFETENSORS_DUPLICATE"],
  [
    "a field twice",
    '{"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}}',
    "ERR_SAFETENSORS_DUPLICATE",
  ],
  [
    "a dtype from elsewhere",
    '{"a":{"dtype":"constructor","shape":[],"data_offsets":[0,1]}}',
    "ERR_SAFETENSORS_DTYPE",
  ],
  [
    "a dtype that is not supported",
    '{"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}}',
    "ERR_SAFETENSORS_DTYPE",
  ],
])("%s is refused", (_, header, code) => {
  expect(errorOf(() => parse(header, 1)).code).toBe(code);
});

test("invalid UTF-8 is refused", () => {
  const error = errorOf(() => parseSafetensorsHeader(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 13, FILE));
  expect(error.message).toBe("the header is not valid UTF-8.");
});

test.each([
  [
    "overlapping tensors",
    { a: f32(0, 8), b: f32(4, 12) },
    12,
    'its bytes overlap those of "a".',
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "two names for the same bytes",
    { a: f32(0, 8), b: f32(0, 8) },
    8,
    'its bytes overlap those of "a".',
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "a hole",
    { a: f32(0, 8), b: f32(12, 16) },
    16,
    'there is a hole of 4 bytes between "a" and this tensor.',
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "a hole at the start",
    { a: f32(4, 8) },
    8,
    "there is a hole of 4 bytes between the header and this tensor.",
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "bytes of no tensor at the end",
    { a: f32(0, 8) },
    9,
    "1 bytes at the end of the file belong to no tensor.",
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "a truncated file",
    { a: f32(0, 8), b: f32(8, 16) },
    11,
    "the file ends 5 bytes before this tensor does.",
    "ERR_SAFETENSORS_TRUNCATED",
  ],
  [
    "offsets that do not fit the shape",
    { a: f32(0, 8, [3]) },
    8,
    "F32 of shape [3] needs 12 bytes, but data_offsets are [0, 8].",
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "offsets that run backwards",
    { a: f32(8, 0, [2]) },
    8,
    "F32 of shape [2] needs 8 bytes, but data_offsets are [8, 0].",
    "ERR_SAFETENSORS_OFFSETS",
  ],
  [
    "a product past 2^53",
    { a: f32(0, 8, [2 ** 30, 2 ** 30]) },
    8,
    "shape [1073741824, 1073741824] is impossibly large.",
    "ERR_SAFETENSORS_SHAPE",
  ],
  [
    "a zero that hides an overflow",
    { a: f32(0, 0, [2 ** 52, 2 ** 52, 0]) },
    0,
    "shape [4503599627370496, 4503599627370496, 0] is impossibly large.",
    "ERR_SAFETENSORS_SHAPE",
  ],
  [
    "65 dimensions",
    { a: f32(0, 4, Array(65).fill(1)) },
    4,
    "shape [1, 1, 1, 1, 1, 1, 1, 1, … 65 numbers] is impossibly large.",
    "ERR_SAFETENSORS_SHAPE",
  ],
])("%s: one error that names it", (_, header, dataLength, message, code) => {
  const error = errorOf(() => parse(header, dataLength));
  expect(error.message).toBe(message);
  expect(error.code).toBe(code);
  expect(error.where).toContain(FILE);
});

test("an error says what, where and how to fix it", () => {
  expect(errorOf(() => parse({ a: f32(0, 8), "lm_head.weight": f32(8, 16) }, 11)).format()).toBe(
    [
      "SafetensorsError [ERR_SAFETENSORS_TRUNCATED]: the file ends 5 bytes before this tensor does.",
      '  where: model.safetensors, tensor "lm_head.weight"',
      "  fix:   download or save the file again.",
    ].join("\n"),
  );
});

test("a header length that lies is refused before anything is read", () => {
  const prefix = (length: bigint) => new Uint8Array(BigUint64Array.of(length).buffer);
  expect(checkHeaderLength(prefix(92n), 100, FILE)).toBe(92);
  expect(errorOf(() => checkHeaderLength(prefix(93n), 100, FILE)).code).toBe("ERR_SAFETENSORS_TRUNCATED");
  expect(errorOf(() => checkHeaderLength(prefix(100_000_001n), 1e12, FILE)).code).toBe(
    "ERR_SAFETENSORS_HEADER_LENGTH",
  );
  expect(errorOf(() => checkHeaderLength(prefix(2n ** 64n - 1n), 1e12, FILE)).code).toBe(
    "ERR_SAFETENSORS_HEADER_LENGTH",
  );
  expect(errorOf(() => checkHeaderLength(new Uint8Array(7), 7, FILE)).code).toBe("ERR_SAFETENSORS_TRUNCATED");
});

test("a header of nothing but brackets ends at the first one that does not belong", () => {
  const started = performance.now();
  expect(errorOf(() => parse(`{"a":${"[".repeat(10_000_000)}`)).where).toBe(
    "model.safetensors, header character 5",
  );
  expect(performance.now() - started).toBeLessThan(2000);
});
