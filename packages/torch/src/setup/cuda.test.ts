import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { findCuda, wantsCuda } from "./cuda.js";

let site: string;
beforeEach(() => {
  site = mkdtempSync(join(tmpdir(), "camelid-cuda-"));
  for (const name of ["CUDA_HOME", "CUDA_PATH", "CAMELID_CUDA", "CAMELID_NO_CUDA"])
    vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(site, { recursive: true });
});

function write(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(site, path)), { recursive: true });
    writeFileSync(join(site, path), "");
  }
}
const TOOLKIT = ["cuda_runtime_api.h", "cublas_v2.h", "cusparse.h", "cusolverDn.h", "crt/host_config.h"];
const torch = () => join(site, "torch");

test("headers are found in the packages beside a wheel of libtorch, in the order in which they have to be looked at", () => {
  write("torch/lib/libtorch_cuda.so", ...TOOLKIT.map((header) => `nvidia/cu13/include/${header}`));
  write("nvidia/cu13/include/cccl/nv/target", "nvidia/nccl/include/nccl.h");
  const nvidia = join(site, "nvidia");
  expect(findCuda(torch())).toEqual({
    includes: [join(nvidia, "cu13/include"), join(nvidia, "cu13/include/cccl"), join(nvidia, "nccl/include")],
    nccl: true,
  });
});

test("what the packages lack is taken from a toolkit; without nccl.h the rest is built", () => {
  write("torch/lib/libtorch_cuda.so", "nvidia/cu13/include/cublas_v2.h");
  write(...[...TOOLKIT, "nv/target"].map((header) => `toolkit/include/${header}`));
  vi.stubEnv("CUDA_HOME", join(site, "toolkit"));
  expect(findCuda(torch())).toEqual({
    includes: [join(site, "nvidia/cu13/include"), join(site, "toolkit/include")],
    nccl: false,
  });
});

test("what is missing is named", () => {
  expect(findCuda(torch())).toEqual({ missing: expect.stringContaining("no libtorch_cuda.so") });
  write("torch/lib/libtorch_cuda.so", ...TOOLKIT.map((header) => `nvidia/cu13/include/${header}`));
  expect(findCuda(torch())).toEqual({
    missing: expect.stringMatching(/^nv\/target not found .*nvidia-cuda-cccl/),
  });
});

test("CAMELID_CUDA asks for it where there is no driver, CAMELID_NO_CUDA leaves it out in any case", () => {
  vi.stubEnv("CAMELID_CUDA", "1");
  expect(wantsCuda()).toBe(true);
  vi.stubEnv("CAMELID_NO_CUDA", "1");
  expect(wantsCuda()).toBe(false);
});
