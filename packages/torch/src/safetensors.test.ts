import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DType, Tensor } from "./index.js";
import * as torch from "./index.js";
import { native } from "./native.js";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "camelid-safetensors-"));
  path = join(folder, "model.safetensors");
});
afterEach(() => rmSync(folder, { recursive: true }));

const DTYPES: DType[] = [
  "float32",
  "float64",
  "bfloat16",
  "float16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint8",
  "bool",
];
const address = (tensor: Tensor): number => native.dataAddress(tensor.handle);

describe("a file of every dtype", () => {
  const write = (): Map<string, Tensor> => {
    const values = torch.tensor([
      [0, 1, -2.5],
      [3, 100, 0.125],
    ]);
    const tensors = new Map<string, Tensor>(DTYPES.map((dtype) => [`x.${dtype}`, values.to({ dtype })]));
    tensors.set("scalar", torch.tensor(7));
    tensors.set("empty", torch.zeros([0, 4]));
    tensors.set("transposed", values.t());
    torch.writeSafetensors(path, tensors, { format: "pt" });
    return tensors;
  };

  test.each([
    ["mapped", {}],
    ["copied", { copy: true }],
  ])("comes back bit for bit, %s", (_, options) => {
    const written = write();
    const { tensors, metadata } = torch.readSafetensors(path, options);
    expect(metadata).toEqual({ format: "pt" });
    expect([...tensors.keys()].sort()).toEqual([...written.keys()].sort());
    for (const [name, tensor] of written) {
      const read = tensors.get(name)!;
      expect(read.dtype).toBe(tensor.dtype);
      expect(read.shape).toEqual(tensor.shape);
      expect(read.toBytes(), name).toEqual(tensor.toBytes());
      expect(read.name).toBe(name);
    }
  });

  test("some can be picked; one that is not there is an error", () => {
    write();
    expect([...torch.readSafetensors(path, { names: ["scalar"] }).tensors.keys()]).toEqual(["scalar"]);
    expect(() => torch.readSafetensors(path, { names: ["scalar", "lm_head.weight"] })).toThrow(
      'there is no tensor "lm_head.weight"',
    );
  });
});

test("tensors that start at a multiple of 64 are mapped, the others copied to one", () => {
  const rows = [16, 3, 5].map((size) => torch.ones([size])); // 64, 12 and 20 bytes: the third starts at 76
  torch.writeSafetensors(path, [
    ["a", rows[0]!],
    ["b", rows[1]!],
    ["c", rows[2]!],
  ]);
  expect(torch.readSafetensorsHeader(path).dataOffset % 64).toBe(0);
  const before = torch.memoryStats().liveBytes;
  const { tensors } = torch.readSafetensors(path);
  expect(torch.memoryStats().liveBytes - before).toBe(20);
  for (const tensor of tensors.values()) expect(address(tensor) % 64).toBe(0);
  expect(address(tensors.get("b")!) - address(tensors.get("a")!)).toBe(64);
  expect(
    torch
      .cat([...tensors.values()])
      .sum()
      .item(),
  ).toBe(24);
});

describe("a mapped file", () => {
  const big = (value: number): Tensor => torch.full([50_000], value);

  test("costs no tensor memory, and its tensors outlive its name", () => {
    torch.writeSafetensors(path, [["w", big(1.5)]]);
    const before = torch.memoryStats().liveBytes;
    const w = torch.readSafetensors(path).tensors.get("w")!;
    expect(torch.memoryStats().liveBytes).toBe(before);
    rmSync(path);
    expect(w.sum().item()).toBe(75_000);
    w.dispose();
  });

  test("keeps its values when another file takes its path", () => {
    torch.writeSafetensors(path, [["w", big(1)]]);
    const old = torch.readSafetensors(path).tensors.get("w")!;
    torch.writeSafetensors(path, [["w", big(2)]]);
    expect(old.sum().item()).toBe(50_000);
    expect(torch.readSafetensors(path).tensors.get("w")!.sum().item()).toBe(100_000);
  });

  test("can be written back over itself", () => {
    torch.writeSafetensors(path, [["w", big(3)]]);
    torch.writeSafetensors(path, torch.readSafetensors(path).tensors);
    expect(torch.readSafetensors(path).tensors.get("w")!.sum().item()).toBe(150_000);
  });

  test("is not changed by writing to its tensors", () => {
    torch.writeSafetensors(path, [["w", big(1)]]);
    const mapped = torch.readSafetensors(path).tensors.get("w")!;
    mapped.mul_(9);
    expect(mapped.sum().item()).toBe(450_000);
    expect(torch.readSafetensors(path).tensors.get("w")!.sum().item()).toBe(50_000);
  });

  test("lives as long as a view of one of its tensors", () => {
    torch.writeSafetensors(path, [
      ["a", big(1)],
      ["b", big(2)],
    ]);
    const { tensors } = torch.readSafetensors(path);
    const view = tensors.get("b")!.narrow(0, 10, 5);
    for (const tensor of tensors.values()) tensor.dispose();
    expect(view.toArray()).toEqual([2, 2, 2, 2, 2]);
  });
});

test("a file that is cut short is refused before anything is mapped", () => {
  torch.writeSafetensors(path, [["w", torch.ones([100])]]);
  const bytes = torch.readSafetensorsHeader(path).fileSize;
  writeFileSync(path, Buffer.alloc(bytes - 4));
  expect(() => torch.readSafetensors(path)).toThrow(torch.SafetensorsError);
});

test("large tensors, which are written in pieces, come back as they were, a transposed one too", () => {
  using _ = torch.tensorScope();
  torch.manualSeed(1);
  const large = torch.randn([3, 1_500_001]); // two pieces and a rest
  const transposed = torch.randn([2000, 1100]).t();
  torch.writeSafetensors(path, [
    ["large", large],
    ["transposed", transposed],
  ]);
  const { tensors } = torch.readSafetensors(path);
  expect(tensors.get("large")!.equal(large)).toBe(true);
  expect(tensors.get("transposed")!.equal(transposed)).toBe(true);
});

test("writing a large tensor takes a few megabytes, not a copy of it", () => {
  using _ = torch.tensorScope();
  const large = torch.zeros([64 * 2 ** 20], { dtype: "uint8" });
  torch.writeSafetensors(join(folder, "warm.safetensors"), [["large", large.narrow(0, 0, 2 ** 20)]]);
  const before = process.memoryUsage().arrayBuffers;
  const { bytes } = torch.safetensorsEntry("large", large);
  let most = 0;
  for (const piece of bytes() as Iterable<Uint8Array>) {
    expect(piece.byteLength).toBeLessThanOrEqual(8 * 2 ** 20);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(most).toBeLessThan(16 * 2 ** 20);
});

test("a tensor that cannot be read leaves no file behind", () => {
  const disposed = torch.ones([1]);
  disposed.dispose();
  expect(() => torch.writeSafetensors(path, [["w", disposed]])).toThrow(torch.LifetimeError);
  expect(readdirSync(folder)).toEqual([]);
});

test("reading inside a scope leaves nothing behind", () => {
  torch.writeSafetensors(path, [
    ["a", torch.ones([3])],
    ["b", torch.ones([5])],
  ]);
  const before = torch.memoryStats().liveTensors;
  torch.tensorScope(() => {
    torch.readSafetensors(path);
    torch.readSafetensors(path, { copy: true });
  });
  expect(torch.memoryStats().liveTensors).toBe(before);
});
