/** Set-up of this package: find or fetch libtorch, compile the binding, try it. Does nothing twice. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { TorchError } from "../errors.js";
import { type Binding, bindingRecord, type CudaBinding } from "./binding.js";
import { buildBinding, buildCudaPart } from "./build.js";
import { findCuda, WITHOUT_CUDA_PART, WITHOUT_NCCL, wantsCuda } from "./cuda.js";
import { type Libtorch, locateLibtorch } from "./libtorch.js";

/**
 * @param say progress, one line a call
 * @throws {InstallationError} what is missing and how to get it
 */
export async function setUp(say: (line: string) => void): Promise<void> {
  const started = performance.now();
  const libtorch = locateLibtorch(say);
  const build = await buildBinding(libtorch, say);
  const cuda = wantsCuda() ? await setUpCuda(libtorch, say) : undefined;
  const binding: Binding = {
    path: build.path,
    libtorch: libtorch.root,
    version: libtorch.version,
    origin: libtorch.origin,
    compiler: build.compiler,
    key: build.key,
    needs: build.needs,
    ...(cuda === undefined ? {} : { cuda }),
  };
  const text = `${JSON.stringify(binding, null, 2)}\n`;
  if (!existsSync(bindingRecord) || readFileSync(bindingRecord, "utf8") !== text || build.compiled) {
    mkdirSync(dirname(bindingRecord), { recursive: true });
    writeFileSync(bindingRecord, text);
    // In a process of its own: a library that does not load must not take set-up down without a word.
    const program = `import(${JSON.stringify(new URL("../index.js", import.meta.url).href)}).then((t) => t.ones([2]).sum().item() === 2 || process.exit(1))`;
    execFileSync(process.execPath, ["-e", program], { stdio: ["ignore", "ignore", "inherit"] });
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(
    `libtorch ${libtorch.version} (${libtorch.origin === "python" ? "Python's own" : libtorch.origin}) is ready, ${seconds} s`,
  );
}

/** Never an end to set-up: without it a GPU does less, and what that is gets said. */
async function setUpCuda(libtorch: Libtorch, say: (line: string) => void): Promise<CudaBinding> {
  const found = findCuda(libtorch.root);
  if ("missing" in found) {
    say(`no CUDA part: ${found.missing}. ${WITHOUT_CUDA_PART}`);
    return { missing: `${found.missing}. ${WITHOUT_CUDA_PART}` };
  }
  try {
    const { path } = await buildCudaPart(libtorch, found, say);
    say(`CUDA part: graphs${found.nccl ? " and NCCL" : ""}, headers in ${found.includes.join(", ")}`);
    if (!found.nccl) say(WITHOUT_NCCL);
    return { path, ...(found.nccl ? {} : { missing: WITHOUT_NCCL }) };
  } catch (error) {
    if (!(error instanceof TorchError)) throw error;
    say(`no CUDA part: ${error.message} ${WITHOUT_CUDA_PART}`);
    return { missing: `${error.message} ${WITHOUT_CUDA_PART}` };
  }
}
