import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { rm, statfs, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "../../run/cache-directory.js";
import type { Check } from "../../run/checks.js";

const gib = 2 ** 30;

/** What any run needs of the machine, before libtorch comes into it. */
export async function systemChecks(): Promise<Check[]> {
  const cache = cacheDirectory();
  return [
    nodeCheck(process.versions.node),
    await cacheCheck(cache),
    await diskCheck(cache),
    memoryCheck(),
    coresCheck(),
    await compilerCheck(),
  ];
}

export function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const detail = `${version} on ${process.platform} ${process.arch}`;
  if (major > 20 || (major === 20 && minor >= 19)) return { name: "Node.js", status: "ok", detail };
  return {
    name: "Node.js",
    status: "fail",
    detail,
    fix: "install Node.js 20.19 or later: https://nodejs.org",
  };
}

/** Writes and removes a file where the cache is or would be. */
export async function cacheCheck(path: string): Promise<Check> {
  const existing = nearestExisting(path);
  const probe = join(existing, `.camelid-${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeFile(probe, "");
    await rm(probe);
    return { name: "cache", status: "ok", detail: existing === path ? path : `${path} (not there yet)` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      name: "cache",
      status: "fail",
      detail: `${path} cannot be written (${code})`,
      fix: "set CAMELID_CACHE to a folder you may write.",
    };
  }
}

async function diskCheck(path: string): Promise<Check> {
  const { bavail, bsize } = await statfs(nearestExisting(path));
  return spaceCheck(bavail * bsize);
}

/** libtorch takes about 1 GiB; a 7B model in bf16 takes 13, and its checkpoints several times that. */
export function spaceCheck(freeBytes: number): Check {
  const detail = `${(freeBytes / gib).toFixed(1)} GiB free beside the cache`;
  if (freeBytes >= 10 * gib) return { name: "disk", status: "ok", detail };
  if (freeBytes >= 2 * gib)
    return {
      name: "disk",
      status: "warn",
      detail,
      fix: "enough for small models; a 7B model wants 50 GiB and more.",
    };
  return { name: "disk", status: "fail", detail, fix: "free 2 GiB, or set CAMELID_CACHE to a larger disk." };
}

function memoryCheck(): Check {
  const limit = cgroupMemoryLimit();
  const total = Math.min(totalmem(), limit ?? Number.POSITIVE_INFINITY);
  const limited = limit !== undefined && limit < totalmem() ? " (limit of this container)" : "";
  const detail = `${(total / gib).toFixed(1)} GiB${limited}, ${(Math.min(freemem(), total) / gib).toFixed(1)} GiB free`;
  if (total >= 4 * gib) return { name: "memory", status: "ok", detail };
  return {
    name: "memory",
    status: "warn",
    detail,
    fix: "4 GiB or more is comfortable for the demo and small models.",
  };
}

/** In a container the machine's own memory says little; cgroup v2, then v1. */
function cgroupMemoryLimit(): number | undefined {
  for (const path of ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]) {
    if (!existsSync(path)) continue;
    const limit = Number(readFileSync(path, "utf8"));
    if (Number.isFinite(limit) && limit > 0) return limit; // "max" is no limit
  }
  return undefined;
}

function coresCheck(): Check {
  const usable = availableParallelism();
  const detail = `${usable} usable${cpus()[0] === undefined ? "" : `, ${cpus()[0]!.model.trim()}`}`;
  if (usable >= 2) return { name: "cores", status: "ok", detail };
  return {
    name: "cores",
    status: "warn",
    detail,
    fix: "training on one core is slow; give this process more.",
  };
}

/** The engine's native part is compiled once for each version of libtorch. */
async function compilerCheck(): Promise<Check> {
  for (const compiler of [process.env.CXX, "g++", "clang++"]) {
    if (!compiler) continue;
    try {
      const { stdout } = await promisify(execFile)(compiler, ["--version"], { timeout: 5000 });
      return { name: "compiler", status: "ok", detail: stdout.split("\n")[0]! };
    } catch {
      // not there: try the next
    }
  }
  return {
    name: "compiler",
    status: "warn",
    detail: "no C++ compiler found",
    fix: "needed only to build the engine: `apt-get install g++ make`, or `xcode-select --install`.",
  };
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
