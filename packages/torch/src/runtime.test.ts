import { describe, expect, test } from "vitest";
import * as torch from "./index.js";
import { native } from "./native.js";

describe("random numbers", () => {
  test("a stored state continues the same stream, bit for bit", () => {
    torch.manualSeed(1234);
    torch.randn([100]);
    const state = torch.getRandomState();
    const draw = (): unknown[] => [
      torch.randn([1000]).toBytes(),
      torch.rand([7], { dtype: "float64" }).toBytes(),
      torch.randperm(50).toBytes(),
      torch.zeros([20]).bernoulli_(0.5).toBytes(),
    ];
    const first = draw();
    expect(draw()).not.toEqual(first);
    torch.setRandomState(state);
    expect(draw()).toEqual(first);
  });

  test("the state holds the second half of a pair of normals", () => {
    torch.manualSeed(1);
    torch.randn([1], { dtype: "float64" }); // one of the two that Box-Muller makes
    const state = torch.getRandomState();
    const next = torch.randn([3], { dtype: "float64" }).toArray();
    torch.setRandomState(state);
    expect(torch.randn([3], { dtype: "float64" }).toArray()).toEqual(next);
  });

  test("a state survives a trip through a file's bytes", () => {
    torch.manualSeed(5);
    const bytes = torch.getRandomState().toBytes();
    const wanted = torch.rand([4]).toArray();
    torch.setRandomState(torch.fromBytes(bytes, [bytes.length], "uint8"));
    expect(torch.rand([4]).toArray()).toEqual(wanted);
  });

  test("seed 0 is a seed, seeds beyond 2^32 too, and equal seeds give equal numbers", () => {
    const from = (seed: number): number[] => {
      torch.manualSeed(seed);
      return torch.rand([4]).toArray();
    };
    const seeds = [0, 1, 2 ** 32, 2 ** 53 - 1];
    expect(seeds.map(from)).toEqual(seeds.map(from));
    expect(from(0)).not.toEqual(from(1));
  });

  test("a damaged state is refused", () => {
    expect(() => torch.setRandomState(torch.zeros([3], { dtype: "uint8" }))).toThrow(torch.NativeError);
  });
});

test("the number of threads can be set, and results of a matrix product stay the same", () => {
  const before = torch.getNumThreads();
  try {
    torch.manualSeed(0);
    const [x, y] = [torch.randn([128, 64]), torch.randn([64, 96])];
    torch.setNumThreads(1);
    expect(torch.getNumThreads()).toBe(1);
    const one = x.matmul(y);
    torch.setNumThreads(2);
    expect(torch.getNumThreads()).toBe(2);
    expect(x.matmul(y).allclose(one)).toBe(true);
  } finally {
    torch.setNumThreads(before);
  }
});

describe("memory statistics", () => {
  test("count the bytes of live tensors exactly, once per memory and not per view", () => {
    const before = torch.memoryStats();
    const x = torch.zeros([1000], { dtype: "float64" });
    const view = x.narrow(0, 0, 10);
    const made = torch.memoryStats();
    expect(made.liveBytes - before.liveBytes).toBe(8000);
    expect(made.liveTensors - before.liveTensors).toBe(2);
    x.dispose();
    expect(torch.memoryStats().liveBytes - before.liveBytes).toBe(8000);
    view.dispose();
    expect(torch.memoryStats().liveBytes).toBe(before.liveBytes);
  });

  test("the peak remembers, until it is reset", () => {
    torch.resetPeakMemory();
    const start = torch.memoryStats().liveBytes;
    torch.empty([2 ** 20]).dispose();
    expect(torch.memoryStats().peakBytes - start).toBe(4 * 2 ** 20);
    torch.resetPeakMemory();
    expect(torch.memoryStats().peakBytes).toBe(start);
  });

  test("freed memory is used again, also in other sizes, and given back on demand", () => {
    torch.emptyCache();
    const start = torch.memoryStats().reservedBytes;
    for (let i = 0; i < 10; i++) torch.empty([2 ** 20]).dispose();
    const segment = torch.memoryStats().reservedBytes - start;
    expect(segment).toBeGreaterThanOrEqual(4 * 2 ** 20);
    expect(segment).toBeLessThanOrEqual(32 * 2 ** 20);
    // Six blocks of 4 MB, freed in another order, are room for one of 20 MB: neighbours are merged.
    const blocks = Array.from({ length: 6 }, () => torch.empty([2 ** 20]));
    for (const i of [3, 0, 5, 1, 4, 2]) blocks[i]!.dispose();
    torch.empty([5 * 2 ** 20]).dispose();
    expect(torch.memoryStats().reservedBytes - start).toBe(segment);
    torch.emptyCache();
    expect(torch.memoryStats().reservedBytes).toBe(start);
  });

  test("what is cached stays bounded, whatever the sizes", () => {
    for (let i = 0; i < 200; i++) torch.empty([2 ** 20 + i * 40_000]).dispose(); // 4 to 36 MB, never used
    const { liveBytes, peakBytes, reservedBytes } = torch.memoryStats();
    expect(reservedBytes - liveBytes).toBeLessThanOrEqual(Math.max(256 * 2 ** 20, peakBytes / 2));
    torch.emptyCache();
  });

  test("every tensor starts at a multiple of 64 bytes", () => {
    for (const size of [1, 3, 17, 1000, 2 ** 18, 2 ** 20 + 1]) {
      const made = [
        torch.empty([size]),
        torch.empty([size], { dtype: "int8" }),
        torch.tensor(new Float32Array(size)),
      ];
      for (const x of made) expect(native.dataAddress(x.handle) % 64, `${size}`).toBe(0);
    }
  });

  test("empty tensors need no memory", () => {
    const before = torch.memoryStats().liveBytes;
    expect(torch.empty([0, 5]).sum().item()).toBe(0);
    expect(torch.empty([0]).toArray()).toEqual([]);
    expect(torch.memoryStats().liveBytes - before).toBeLessThanOrEqual(8);
  });
});

test("the installation says which libtorch this is and what it can use", () => {
  const { version, devices, cpuCapability, config, binding } = torch.installation();
  expect(version).toMatch(/^2\.1[1-4]\.\d/);
  expect(devices[0]).toBe("cpu");
  expect(cpuCapability).not.toBe("");
  expect(config).toContain("PyTorch built with");
  expect(version.startsWith(binding.version.split("+")[0]!)).toBe(true);
  expect(binding.path).toContain(binding.key);
  expect(["CAMELID_LIBTORCH", "python", "cache", "fetched"]).toContain(binding.origin);
});
