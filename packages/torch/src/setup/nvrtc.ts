/** Finds NVRTC, the compiler of CUDA that runs inside a program: a CUDA libtorch brings it along. */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { InstallationError } from "../errors.js";

/**
 * Looks where $CAMELID_NVRTC says, beside libtorch, in NVIDIA's packages beside it, and in an installed CUDA toolkit.
 * @param libtorch folder with libtorch's `lib/`
 * @returns libraries to load in this order; NVRTC is the last, and looks for the others by name alone. Empty when there is none.
 * @throws {InstallationError} `ERR_NVRTC_PATH` when $CAMELID_NVRTC names no such file
 */
export function findNvrtc(libtorch: string): string[] {
  const given = process.env.CAMELID_NVRTC;
  if (given) {
    if (existsSync(given) && basename(given).startsWith("libnvrtc"))
      return [...builtinsIn(dirname(given)), given];
    throw new InstallationError("ERR_NVRTC_PATH", "CAMELID_NVRTC does not name an NVRTC library.", {
      where: given,
      fix: "give the path of a file like libnvrtc.so.13, or leave it out.",
    });
  }
  const packages = join(libtorch, "..", "nvidia");
  const toolkits = [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda"];
  const folders = [
    join(libtorch, "lib"),
    ...filesIn(packages).map((name) => join(packages, name, "lib")),
    ...toolkits.flatMap((root) => (root ? [join(root, "lib64"), join(root, "lib")] : [])),
  ];
  for (const folder of folders) {
    const library = filesIn(folder).find((name) => /^libnvrtc\.so\.\d+$/.test(name));
    if (library !== undefined) return [...builtinsIn(folder), join(folder, library)];
  }
  return [];
}

function builtinsIn(folder: string): string[] {
  return filesIn(folder)
    .filter((name) => /^libnvrtc-builtins\.so\.[\d.]+$/.test(name))
    .map((name) => join(folder, name));
}

function filesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
