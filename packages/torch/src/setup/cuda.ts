/**
 * The CUDA part of the binding, `native/cuda-runtime/`: what it takes to build it, and whether it is wanted. It is a library of its
 * own, loaded beside libtorch's CUDA library; the addon itself is the same with and without.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";

/** A GPU can be used, or the CUDA part is asked for where there is none (`CAMELID_CUDA=1`); `CAMELID_NO_CUDA=1` leaves it out. */
export function wantsCuda(): boolean {
  const { CAMELID_CUDA, CAMELID_NO_CUDA } = process.env;
  return CAMELID_NO_CUDA !== "1" && (CAMELID_CUDA === "1" || hasNvidiaDriver());
}

export function hasNvidiaDriver(): boolean {
  return existsSync("/dev/nvidiactl") || existsSync("/proc/driver/nvidia/version");
}

export interface CudaParts {
  /** Folders of headers, to be looked at in this order. */
  includes: string[];
  nccl: boolean;
}

/** Headers that libtorch's own of CUDA include; the last two come in packages of their own (nvidia-cuda-crt, nvidia-cuda-cccl). */
const TOOLKIT = [
  ...["cuda_runtime_api.h", "cublas_v2.h", "cusparse.h", "cusolverDn.h"],
  ...["crt/host_config.h", "nv/target"],
];

/**
 * Where the headers are: in the packages that a wheel of libtorch brings along, else in a toolkit.
 * @returns what is missing, in words, where nothing can be built
 */
export function findCuda(root: string): CudaParts | { missing: string } {
  const lib = join(root, "lib");
  if (!existsSync(join(lib, "libtorch_cuda.so")))
    return { missing: `libtorch in ${root} comes without CUDA (no libtorch_cuda.so)` };
  const folders = headerFolders(root);
  const holding = (header: string) => folders.find((folder) => existsSync(join(folder, header)));
  const absent = TOOLKIT.filter((header) => holding(header) === undefined);
  if (absent.length > 0)
    return {
      missing: `${absent.join(", ")} not found beside libtorch, in CUDA_HOME or in /usr/local/cuda (a CUDA toolkit has them, or pip install nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-cccl beside a wheel of torch)`,
    };
  const nccl = holding("nccl.h");
  const used = new Set([...TOOLKIT.map(holding), nccl]);
  // In the order of the folders: where two have a header, libtorch's own wins.
  const includes = folders.filter((folder) => used.has(folder) && folder !== SYSTEM);
  return { includes, nccl: nccl !== undefined };
}

function headerFolders(root: string): string[] {
  const packages = join(dirname(root), "nvidia");
  const names = existsSync(packages) ? readdirSync(packages).sort() : [];
  const toolkits = [process.env.CUDA_HOME, process.env.CUDA_PATH, "/usr/local/cuda"];
  const includes = [
    ...names.map((name) => join(packages, name, "include")),
    ...toolkits.flatMap((home) => (home ? [join(home, "include")] : [])),
    SYSTEM,
  ];
  return includes.flatMap((folder) => [folder, join(folder, "cccl")]);
}

/** Where the compiler looks anyway. */
const SYSTEM = "/usr/include";

/** What a GPU can do without the CUDA part. */
export const WITHOUT_CUDA_PART =
  "GPUs compute, but several ranks exchange gradients through host memory (Gloo) and decoding runs without CUDA graphs.";
/** What it cannot do without NCCL's header. */
export const WITHOUT_NCCL = "nccl.h not found: several ranks exchange gradients through host memory (Gloo).";
