/** Which compiled binding this checkout uses: written by set-up, read at every start. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InstallationError } from "../errors.js";
import { wantsCuda } from "./cuda.js";
import { checkProcessor } from "./processor.js";

export interface Binding {
  /** The compiled addon. */
  path: string;
  /** Folder with libtorch's `lib/` and `include/`. */
  libtorch: string;
  version: string;
  /** How libtorch was found: "CAMELID_LIBTORCH", "python", "cache" or "fetched". */
  origin: string;
  compiler: string;
  /** Hash of native sources, compiler, processor, flags and libtorch: set-up compiles again when it changes. */
  key: string;
  /** What a processor must be capable of, by Linux's names. */
  needs?: string[];
  /** The CUDA part, where it was wanted. */
  cuda?: CudaBinding;
}

export interface CudaBinding {
  /** The compiled library; left out where it could not be built. */
  path?: string;
  /** What is missing, and what that means. */
  missing?: string;
}

export const bindingRecord = fileURLToPath(new URL("../../build/binding.json", import.meta.url));

/** @throws {InstallationError} when set-up has not run here, what it made is gone, or this processor cannot run it */
export function findBinding(): Binding {
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
  checkProcessor(binding.needs ?? [], binding.path);
  return binding;
}

/**
 * What is loaded beside the binding: CUDA kernels are a library of libtorch's own, ours is another. The rest of libtorch needs
 * neither.
 */
export function cudaLibraries({ libtorch, cuda }: Binding): { kernels?: string; runtime?: string } {
  const kernels = join(libtorch, "lib", "libtorch_cuda.so");
  if (!wantsCuda() || !existsSync(kernels)) return {};
  const runtime = cuda?.path;
  return { kernels, ...(runtime !== undefined && existsSync(runtime) ? { runtime } : {}) };
}
