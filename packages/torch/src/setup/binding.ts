/** Which compiled binding this checkout uses: written by set-up, read at every start. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InstallationError } from "../errors.js";

export interface Binding {
  /** The compiled addon. */
  path: string;
  /** Folder with libtorch's `lib/` and `include/`. */
  libtorch: string;
  version: string;
  /** How libtorch was found: "CAMELID_LIBTORCH", "python", "cache" or "fetched". */
  origin: string;
  compiler: string;
  /** Hash of native sources, compiler, flags and libtorch: set-up compiles again when it changes. */
  key: string;
}

export const bindingRecord = fileURLToPath(new URL("../../build/binding.json", import.meta.url));

/** @throws {InstallationError} when set-up has not run here, or what it made is gone */
export function findBinding(): Binding & { acceleratorLibraries: string[] } {
  const fix = "run `npx camelid setup`.";
  if (!existsSync(bindingRecord)) {
    throw new InstallationError("ERR_TORCH_NOT_SET_UP", "libtorch has not been set up here yet.", {
      where: bindingRecord,
      fix,
    });
  }
  const binding = JSON.parse(readFileSync(bindingRecord, "utf8")) as Binding;
  if (!existsSync(binding.path)) {
    throw new InstallationError("ERR_TORCH_NOT_SET_UP", "the compiled binding is gone.", {
      where: binding.path,
      fix,
    });
  }
  return { ...binding, acceleratorLibraries: acceleratorLibraries(binding.libtorch) };
}

/** CUDA kernels are a library of their own, loaded only where there is a driver. CAMELID_NO_CUDA=1 leaves it out. */
function acceleratorLibraries(libtorch: string): string[] {
  const cuda = join(libtorch, "lib", "libtorch_cuda.so");
  return process.env.CAMELID_NO_CUDA !== "1" && hasNvidiaDriver() && existsSync(cuda) ? [cuda] : [];
}

export function hasNvidiaDriver(): boolean {
  return existsSync("/dev/nvidiactl") || existsSync("/proc/driver/nvidia/version");
}
