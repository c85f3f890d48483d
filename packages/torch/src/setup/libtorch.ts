/**
 * Finds a libtorch, in order: $CAMELID_LIBTORCH, an importable Python `torch`, the user cache; else fetches the pinned wheel
 * with pip and keeps its `lib/` and `include/`. No Python runs when training.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InstallationError } from "../errors.js";
import { cacheDirectory } from "./cache-directory.js";
import { wantsCuda } from "./cuda.js";

export interface Libtorch {
  /** Folder that holds `lib/` and `include/`. */
  root: string;
  version: string;
  origin: "CAMELID_LIBTORCH" | "python" | "cache" | "fetched";
}

const PINNED = "2.13.0";
const OLDEST = [2, 11];
const NEWEST = [2, 14];
const requirements = (name: string) => fileURLToPath(new URL(`../../setup/${name}`, import.meta.url));

/** @param say progress, one line a call */
export function locateLibtorch(say: (line: string) => void): Libtorch {
  return fromEnvironment() ?? fromPython(say) ?? fromCache() ?? fetchPinned(say);
}

function fromEnvironment(): Libtorch | undefined {
  const folder = process.env.CAMELID_LIBTORCH;
  if (!folder) return undefined;
  const root = resolve(folder);
  if (!isLibtorch(root)) {
    throw new InstallationError("ERR_LIBTORCH_PATH", "CAMELID_LIBTORCH does not hold a libtorch.", {
      where: root,
      fix: "point it at a folder with lib/ and include/ (the `torch` folder of a wheel, or an unpacked libtorch).",
    });
  }
  const version = versionOf(root);
  if (!isSupported(version)) throw unsupported(version, root);
  return { root, version, origin: "CAMELID_LIBTORCH" };
}

/** Asks Python where `torch` is without importing it: importing takes seconds. */
function fromPython(say: (line: string) => void): Libtorch | undefined {
  const question =
    "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s and s.origin else '')";
  const answer = spawnSync("python3", ["-c", question], { encoding: "utf8" });
  const origin = answer.status === 0 ? answer.stdout.trim() : "";
  if (origin === "") return undefined;
  const root = dirname(origin);
  if (!isLibtorch(root)) return undefined;
  const version = versionOf(root);
  if (isSupported(version)) return { root, version, origin: "python" };
  say(
    `Python's torch ${version} is not one of the supported versions (${OLDEST.join(".")} to ${NEWEST.join(".")}); it is left alone.`,
  );
  return undefined;
}

function cachedRoot(): string {
  const flavour = wantsCuda() ? "cuda" : "cpu";
  return join(cacheDirectory(), "libtorch", `${PINNED}-${process.platform}-${process.arch}-${flavour}`);
}

function fromCache(): Libtorch | undefined {
  const root = join(cachedRoot(), "torch");
  return isLibtorch(root) ? { root, version: PINNED, origin: "cache" } : undefined;
}

function fetchPinned(say: (line: string) => void): Libtorch {
  const target = cachedRoot();
  mkdirSync(dirname(target), { recursive: true });
  const staging = mkdtempSync(join(dirname(target), "fetching-"));
  try {
    const lists = ["libtorch.txt", ...(wantsCuda() ? ["libtorch-cuda.txt"] : [])];
    for (const list of lists) pipDownload(requirements(list), join(staging, "wheels"), say);
    say("unpacking libtorch ...");
    for (const wheel of readdirSync(join(staging, "wheels")))
      unpack(join(staging, "wheels", wheel), join(staging, "root"));
    rmSync(target, { recursive: true, force: true });
    renameSync(join(staging, "root"), target);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return { root: join(target, "torch"), version: PINNED, origin: "fetched" };
}

/** pip checks every wheel against the hashes in the list. The Python version named only picks a wheel; any pip will do. */
function pipDownload(list: string, folder: string, say: (line: string) => void): void {
  say(`fetching libtorch ${PINNED} (a 0.5 GB wheel; only its lib/ and include/ are kept) ...`);
  const args = ["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"];
  args.push("--python-version", "3.11", "--require-hashes", "--requirement", list, "--dest", folder);
  const result = spawnSync("python3", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (result.error !== undefined) {
    throw new InstallationError(
      "ERR_PYTHON_MISSING",
      "python3 was not found; set-up needs it once, to fetch libtorch.",
      {
        fix: "install it (Debian, Ubuntu: apt-get install python3-pip), or set CAMELID_LIBTORCH to a libtorch you have.",
        cause: result.error,
      },
    );
  }
  if (result.status !== 0) {
    throw new InstallationError(
      "ERR_LIBTORCH_FETCH",
      "pip could not fetch libtorch; its own words are above.",
      {
        where: list,
        fix: "check the network and that `python3 -m pip` works (Debian, Ubuntu: apt-get install python3-pip), or set CAMELID_LIBTORCH.",
      },
    );
  }
}

/** Keeps libraries and headers of one wheel. Without a GPU the CUDA libraries, over half of the bytes, stay out. */
function unpack(wheel: string, target: string): void {
  const script = `
import sys, zipfile
wheel, target, cuda = sys.argv[1], sys.argv[2], sys.argv[3] == "cuda"
skip = () if cuda else ("libtorch_cuda", "libc10_cuda", "libtorch_nvshmem", "libcaffe2_nvrtc", "libnvperf", "libpcsampling", "libcheckpoint")
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        keep = name.startswith(("torch/lib/", "torch/include/")) or name == "torch/version.py" or (name.startswith("nvidia/") and (".so" in name or "/include/" in name))
        base = name.rsplit("/", 1)[-1]
        if keep and not base.startswith(skip or ("//",)) and not base.startswith("libtorch_python"):
            z.extract(name, target)
`;
  execFileSync("python3", ["-c", script, wheel, target, wantsCuda() ? "cuda" : "cpu"], {
    stdio: "inherit",
  });
}

function isLibtorch(root: string): boolean {
  const library = process.platform === "darwin" ? "libtorch_cpu.dylib" : "libtorch_cpu.so";
  return (
    existsSync(join(root, "lib", library)) && existsSync(join(root, "include", "ATen", "core", "Tensor.h"))
  );
}

/** "2.13.0" from a wheel's version.py, an unpacked libtorch's build-version, or the header that both have. */
function versionOf(root: string): string {
  const python = join(root, "version.py");
  if (existsSync(python)) {
    const match = /__version__ = '(\d+\.\d+\.\d+)/.exec(readFileSync(python, "utf8"));
    if (match) return match[1]!;
  }
  const header = join(root, "include", "torch", "headeronly", "version.h");
  const text = existsSync(header) ? readFileSync(header, "utf8") : "";
  return /TORCH_VERSION "?(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? "unknown";
}

function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const atLeast = major > OLDEST[0]! || (major === OLDEST[0] && minor >= OLDEST[1]!);
  const atMost = major < NEWEST[0]! || (major === NEWEST[0] && minor <= NEWEST[1]!);
  return atLeast && atMost;
}

function unsupported(version: string, where: string): InstallationError {
  return new InstallationError("ERR_LIBTORCH_VERSION", `libtorch ${version} is not supported.`, {
    where,
    fix: `use ${OLDEST.join(".")} to ${NEWEST.join(".")}; ${PINNED} is the one that set-up fetches.`,
  });
}
