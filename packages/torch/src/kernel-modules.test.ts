/** Compiled CUDA kernels: kept on disk, made again when damaged, done without when they cannot be had (emulated; see cuda-kernels.test.ts). */
import { mkdirSync, mkdtempSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { emulatorLibrary } from "./fixtures/emulate-cuda.js";
import * as torch from "./index.js";
import { configureKernels } from "./kernel-sources.js";
import { native } from "./native.js";
import { findNvrtc } from "./setup/nvrtc.js";

let library = "";
beforeAll(() => {
  library = emulatorLibrary();
});
afterEach(() => {
  native.useKernels(false);
  delete process.env.CAMELID_CUDA_KERNELS;
  delete process.env.CAMELID_NVRTC;
});

const folder = (): string => mkdtempSync(join(tmpdir(), "camelid-kernels-"));
const swiglu = (): number[] => {
  const x = torch.tensor([-1, 0.5, 2]);
  return torch.fusedSwiglu(x, x).toArray();
};

test("a kernel is compiled once and then read from disk; a file that was cut off is compiled again", () => {
  const cache = folder();
  const start = (compiler: string[]): void => configureKernels(native, compiler, { library, cache });
  start([library]);
  const first = swiglu();
  const files = readdirSync(cache);
  expect(files).toHaveLength(1);
  expect(files[0]).toMatch(/^swiglu-[0-9a-f]{16}-sm_00-nvrtc0\.0\.cubin$/);
  const file = join(cache, files[0]!);
  const { mtimeMs, size } = statSync(file);
  start([library]);
  expect(swiglu()).toEqual(first);
  expect(statSync(file).mtimeMs).toBe(mtimeMs);
  truncateSync(file, 0);
  start([library]);
  expect(swiglu()).toEqual(first);
  expect(statSync(file).size).toBe(size);
  expect(native.kernelState().problem).toBe("");
});

test("without a compiler, and with one that does not load, libtorch's operators do the work and the reason is kept", () => {
  const expected = swiglu();
  const cache = folder();
  configureKernels(native, [], { library, cache });
  expect(swiglu()).toEqual(expected);
  expect(torch.cudaKernels()).toEqual({ on: true, problem: expect.stringContaining("NVRTC") });
  configureKernels(native, ["/nowhere/libnvrtc.so.13"], { library, cache });
  expect(swiglu()).toEqual(expected);
  expect(torch.cudaKernels().problem).toContain("/nowhere/libnvrtc.so.13");
});

test("CAMELID_CUDA_KERNELS turns kernels off, and anything but 0 and 1 is an error", () => {
  const cache = folder();
  process.env.CAMELID_CUDA_KERNELS = "0";
  configureKernels(native, [library], { library, cache });
  swiglu();
  expect(readdirSync(cache)).toEqual([]);
  expect(torch.cudaKernels().on).toBe(false);
  process.env.CAMELID_CUDA_KERNELS = "no";
  expect(() => configureKernels(native, [library], { library, cache })).toThrow(/is "no", not 0 or 1/);
});

test("NVRTC is looked for where CAMELID_NVRTC says, else beside libtorch, and comes after the library it looks for by name", () => {
  const root = folder();
  const packages = join(root, "nvidia", "cu13", "lib");
  mkdirSync(packages, { recursive: true });
  for (const name of ["libnvrtc.so.13", "libnvrtc.alt.so.13", "libnvrtc-builtins.so.13.0"])
    writeFileSync(join(packages, name), "");
  const expected = [join(packages, "libnvrtc-builtins.so.13.0"), join(packages, "libnvrtc.so.13")];
  expect(findNvrtc(join(root, "torch"))).toEqual(expected);
  process.env.CAMELID_NVRTC = expected[1];
  expect(findNvrtc("/")).toEqual(expected);
  process.env.CAMELID_NVRTC = "/nowhere/libnvrtc.so.13";
  expect(() => findNvrtc("/")).toThrow(/does not name an NVRTC library/);
});
