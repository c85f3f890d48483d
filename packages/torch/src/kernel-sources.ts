/** Our CUDA kernels as text (`native/cuda/`), handed to the native side, which compiles them when a GPU first needs them. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InstallationError } from "./errors.js";
import type { Native } from "./native.js";
import { cacheDirectory } from "./setup/cache-directory.js";

const folder = fileURLToPath(new URL("../native/cuda", import.meta.url));

/** What runs instead of a GPU in tests: a library that has the functions of NVRTC and of the driver. */
export interface KernelEmulator {
  library: string;
  cache: string;
}

/**
 * From now on fused operators use our kernels, unless CAMELID_CUDA_KERNELS is 0.
 * @param nvrtc libraries from `findNvrtc`
 */
export function configureKernels(
  native: Pick<Native, "configureKernels" | "useKernels">,
  nvrtc: readonly string[],
  emulator?: KernelEmulator,
): void {
  const headers = textsOf(".cuh");
  native.configureKernels(
    nvrtc,
    emulator?.library ?? "libcuda.so.1",
    emulator?.cache ?? join(cacheDirectory(), "kernels"),
    textsOf(".cu").map(([file, text]) => {
      const hash = createHash("sha256")
        .update(JSON.stringify([headers, text]))
        .digest("hex")
        .slice(0, 16);
      const name = basename(file, ".cu");
      return [name, text, `${name}-${hash}`];
    }),
    headers,
    emulator !== undefined,
  );
  native.useKernels(isWanted());
}

function textsOf(ending: string): [name: string, text: string][] {
  const names = readdirSync(folder).filter((name) => name.endsWith(ending));
  return names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]);
}

/** Names of the files without their ending. */
export function kernelFiles(): string[] {
  return textsOf(".cu").map(([name]) => basename(name, ".cu"));
}

function isWanted(): boolean {
  const value = process.env.CAMELID_CUDA_KERNELS ?? "1";
  if (value === "0" || value === "1") return value === "1";
  throw new InstallationError("ERR_CUDA_KERNELS", `CAMELID_CUDA_KERNELS is "${value}", not 0 or 1.`, {
    fix: "0 uses libtorch's operators alone; 1, or nothing, our own CUDA kernels where they help.",
  });
}
