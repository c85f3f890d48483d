import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { formatChecks } from "../../run/checks.js";
import { askModule, devicesCheck, type EngineAnswer, engineChecks, kernelsCheck } from "./engine-checks.js";

const healthy: Extract<EngineAnswer, { installation: unknown }> = {
  installation: {
    version: "2.13.0",
    cpuCapability: "AVX512",
    devices: ["cpu", "cuda:0"],
    binding: {
      path: "/cache/binding/0123456789abcdef/camelid_torch.node",
      libtorch: "/usr/lib/python3/dist-packages/torch",
      version: "2.13.0",
      origin: "python",
      compiler: "g++ 12.2.0",
      key: "0123456789abcdef",
    },
    cudaParts: [],
    kernelCompiler: "/usr/local/cuda/lib64/libnvrtc.so.13",
  },
  threads: 4,
};

/** An engine in a file of its own, asked as the real one is. */
function askFake(source: string): Promise<EngineAnswer> {
  const file = join(mkdtempSync(join(tmpdir(), "camelid-engine-")), "index.mjs");
  writeFileSync(file, source);
  return askModule(pathToFileURL(file).href);
}

test("the engine's report names version, place, key, compiler, processor, threads and devices", async () => {
  const text = formatChecks([{ heading: "Engine", checks: await engineChecks(async () => healthy) }]);
  for (const part of [
    "2.13.0",
    "Python's own",
    "0123456789abcdef",
    "g++ 12.2.0",
    "AVX512",
    "4 threads",
    "cuda:0",
    "libnvrtc.so.13",
  ])
    expect(text).toContain(part);
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});

test("a GPU without a compiler for our kernels is a warning; without a GPU, and switched off, nothing is missing", () => {
  expect(kernelsCheck(["cpu", "cuda:0"], undefined, false)).toMatchObject([
    { status: "warn", fix: expect.stringContaining("CAMELID_NVRTC") },
  ]);
  expect(kernelsCheck(["cpu", "cuda:0"], undefined, true)).toMatchObject([{ status: "ok" }]);
  expect(kernelsCheck(["cpu"], undefined, false)).toEqual([]);
});

test("a binding that does not load is a failed check with the loader's own words", async () => {
  const answer = await askFake(
    `throw Object.assign(new Error("libtorch_cpu.so: cannot open"), { where: "/x.node", fix: "set up." });`,
  );
  expect(await engineChecks(async () => answer)).toEqual([
    { name: "libtorch", status: "fail", detail: "libtorch_cpu.so: cannot open /x.node", fix: "set up." },
  ]);
});

test("a library that kills its process is told, not followed", async () => {
  const answer = await askFake(`process.kill(process.pid, "SIGILL"); await new Promise(() => {});`);
  expect(await engineChecks(async () => answer)).toMatchObject([
    { status: "fail", detail: expect.stringContaining("SIGILL"), fix: expect.stringContaining("setup") },
  ]);
});

test("a driver without a device is worth a warning", () => {
  expect(devicesCheck(["cpu"], true, false)).toMatchObject({ status: "warn" });
  expect(devicesCheck(["cpu"], true, true).fix).toContain("CAMELID_NO_CUDA");
  expect(devicesCheck(["cpu"], false, false).status).toBe("ok");
  expect(devicesCheck(["cpu", "cuda:0"], true, false).status).toBe("ok");
});

test("the CUDA part is told where set-up wanted one: what it brings, or what is missing and what that means", async () => {
  const told = async (cuda: object | undefined, cudaParts: ("graphs" | "nccl")[]) => {
    const { binding } = healthy.installation;
    const installation = {
      ...healthy.installation,
      binding: { ...binding, ...(cuda && { cuda }) },
      cudaParts,
    };
    const checks = await engineChecks(async () => ({ installation, threads: 4 }));
    return checks.find(({ name }) => name === "CUDA part");
  };
  expect(await told(undefined, [])).toBeUndefined();
  expect(await told({ path: "/x.so" }, ["graphs", "nccl"])).toEqual({
    ...{ name: "CUDA part", status: "ok", detail: "CUDA graphs, NCCL" },
  });
  const missing = "nccl.h not found: gradients travel through host memory.";
  expect(await told({ path: "/x.so", missing }, ["graphs"])).toMatchObject({
    ...{ status: "warn", detail: `CUDA graphs; ${missing}`, fix: expect.stringContaining("CUDA_HOME") },
  });
  expect(await told({ missing }, [])).toMatchObject({ status: "warn", detail: `not loaded; ${missing}` });
});
