import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, describe, expect, test } from "vitest";
import { mutate, seeded } from "../../../../../tests/faults/mutate.js";
import { CamelidError } from "../../errors.js";
import { decodeTensor, encodeTensor } from "./encode.js";
import type { Metadata, TensorInfo, TensorType } from "./format.js";
import { readGguf } from "./reader.js";
import { writeGguf } from "./writer.js";

const root = mkdtempSync(join(tmpdir(), "camelid-gguf-"));
afterAll(() => rmSync(root, { recursive: true }));

const METADATA: Metadata = new Map([
  ["general.architecture", { type: "string", value: "llama" }],
  ["general.alignment", { type: "u32", value: 32 }],
  ["a.flag", { type: "bool", value: true }],
  ["a.number", { type: "f32", value: 0.5 }],
  ["a.negative", { type: "i32", value: -3 }],
  ["tokens", { type: "strings", value: ["a", "▁b", "", "\n🐪"] }],
  ["scores", { type: "f32s", value: [0, -1, -2.5, 3] }],
  ["types", { type: "i32s", value: [1, 2, 3, -4] }],
]);

function writeSample(path: string): { infos: TensorInfo[]; values: Map<string, torch.Tensor> } {
  const infos: TensorInfo[] = [
    { name: "a.weight", shape: [3, 64], type: "q8_0" },
    { name: "b.weight", shape: [5], type: "f32" },
    { name: "c.weight", shape: [2, 3], type: "bf16" },
    { name: "d.weight", shape: [7, 1], type: "f16" },
  ];
  torch.manualSeed(1);
  const values = new Map(infos.map(({ name, shape }) => [name, torch.randn([...shape])]));
  writeGguf(path, METADATA, infos, ({ name, type }) => encodeTensor(values.get(name)!, type, name));
  return { infos, values };
}

describe("a GGUF file", () => {
  test("gives back metadata and tensors, aligned, rows first", () => {
    const path = join(root, "sample.gguf");
    const { infos, values } = writeSample(path);
    const file = readGguf(path);
    expect([...file.metadata]).toEqual([...METADATA].map(([key, { value }]) => [key, value]));
    expect([...file.tensors.keys()]).toEqual(infos.map(({ name }) => name));
    for (const { name, shape, type } of infos) {
      const { offset } = file.tensors.get(name)!;
      expect(offset % 32, name).toBe(0);
      const read = decodeTensor(file.read(name), shape, type);
      const far = read.sub(values.get(name)!).abs().amax().item();
      expect(far, name).toBeLessThan({ f32: 1e-12, f16: 2e-3, bf16: 2e-2, q8_0: 2e-2 }[type]);
    }
  });

  test("damaged in 400 ways is read or refused with an error of ours", () => {
    const path = join(root, "damaged.gguf");
    rmSync(path, { force: true });
    writeSample(path);
    const valid = readFileSync(path);
    const random = seeded(20261122);
    const outcomes = { read: 0, refused: 0 };
    for (let round = 0; round < 400; round++) {
      writeFileSync(path, mutate(valid, random));
      try {
        const file = readGguf(path);
        for (const { name, shape, type } of file.tensors.values()) {
          if (shape.reduce((a, b) => a * b, 1) > 0) decodeTensor(file.read(name), shape, type).dispose();
        }
        outcomes.read++;
      } catch (error) {
        expect(error).toBeInstanceOf(CamelidError);
        outcomes.refused++;
      }
    }
    expect(outcomes.read).toBeGreaterThan(4);
    expect(outcomes.refused).toBeGreaterThan(40);
  });
});

describe("q8_0", () => {
  const roundTrip = (values: number[]): number[] =>
    decodeTensor(encodeTensor(torch.tensor([values]), "q8_0", "x"), [1, values.length], "q8_0").toArray();

  test("stores every block of 32 as a fp16 scale and 32 signed bytes", () => {
    const bytes = encodeTensor(torch.tensor([Array.from({ length: 32 }, (_, i) => i - 16)]), "q8_0", "x");
    expect(bytes).toHaveLength(34);
    const scale = decodeTensor(bytes.slice(0, 2), [1], "f16").item();
    expect(scale).toBeCloseTo(16 / 127, 4);
    expect(new Int8Array(bytes.slice(2))[0]).toBe(-127);
    expect(new Int8Array(bytes.slice(2))[17]).toBe(8); // 1 / (16 / 127) = 7.94
  });

  test("rounds halves away from zero", () => {
    const values = Array(32).fill(0);
    values[0] = 127; // the scale is 1
    [values[1], values[2], values[3], values[4]] = [0.5, -0.5, 2.5, 2.4];
    expect(roundTrip(values).slice(0, 5)).toEqual([127, 1, -1, 3, 2]);
  });

  test("a block of zeros stays zeros", () => {
    expect(roundTrip(Array(32).fill(0)).every((value) => value === 0)).toBe(true);
  });
});

test.each(["f16", "q8_0"] as const satisfies TensorType[])(
  "%s refuses a value that it cannot hold",
  (type) => {
    const tensor = torch.tensor([Array(32).fill(1e10)]);
    expect(() => encodeTensor(tensor, type, "blk.0.ffn_up.weight")).toThrow(
      /ERR_GGUF_RANGE|cannot hold|can hold/,
    );
    expect(() => encodeTensor(torch.tensor([Array(32).fill(Number.NaN)]), "f32", "x")).toThrow();
  },
);
