/**
 * Compiles `native/*.cc`, and `native/cuda-runtime/*.cc`, against one libtorch, in the cache: each file once per its text, headers, compiler and libtorch,
 * whichever checkout it lies in.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InstallationError } from "../errors.js";
import { cacheDirectory } from "./cache-directory.js";
import type { CudaParts } from "./cuda.js";
import type { Libtorch } from "./libtorch.js";
import { capabilities, compilerMacros, neededOf, processorFlag } from "./processor.js";

const nativeFolder = fileURLToPath(new URL("../../native", import.meta.url));

export interface Build {
  path: string;
  key: string;
  compiler: string;
  /** What a processor must be capable of. */
  needs: string[];
  compiled: boolean;
}

/** A shared library of some of the native files. */
interface Library {
  name: string;
  sources: string[];
  flags: string[];
  includes: string[];
  /** Arguments of the linker, behind the objects. */
  links: string[];
}

export async function buildBinding(libtorch: Libtorch, say: (line: string) => void): Promise<Build> {
  return buildLibrary(libtorch, say, {
    name: "camelid_torch.node",
    sources: nativeFiles(""),
    flags: [],
    includes: [],
    links: linkArguments(libtorch, ["-ltorch_cpu", "-lc10"]),
  });
}

/** The CUDA part: another library, that the binding loads where it is wanted. */
export async function buildCudaPart(
  libtorch: Libtorch,
  { includes, nccl }: CudaParts,
  say: (line: string) => void,
): Promise<Build> {
  return buildLibrary(libtorch, say, {
    name: "camelid_cuda.so",
    sources: nativeFiles("cuda-runtime/"),
    flags: nccl ? ["-DCAMELID_NCCL"] : [],
    includes,
    links: linkArguments(libtorch, ["-ltorch_cuda", "-lc10_cuda", "-ltorch_cpu", "-lc10"]),
  });
}

async function buildLibrary(
  libtorch: Libtorch,
  say: (line: string) => void,
  library: Library,
): Promise<Build> {
  const compiler = findCompiler();
  const flags = [...compileFlags(), ...library.flags];
  const macros = compilerMacros(compiler.command);
  const common = [compiler.version, macros, libtorch.version, libtorch.root, ...flags];
  const { versions } = nodeHeaders();
  const objects = library.sources.map((source) => ({
    source: join(nativeFolder, source),
    object: join(
      cacheDirectory(),
      "objects",
      `${keyOf([...withHeaders(source), ...versions, ...common, ...library.includes])}.o`,
    ),
  }));
  const linking = ["-shared", ...objects.map(({ object }) => object), ...library.links];
  const key = keyOf([...common, ...linking]);
  const folder = join(cacheDirectory(), "binding", key);
  const path = join(folder, library.name);
  const build = { path, key, compiler: compiler.version, needs: neededOf(capabilities(), macros) };
  if (existsSync(path)) return { ...build, compiled: false };

  const missing = objects.filter(({ object }) => !existsSync(object));
  say(`compiling ${library.name} (${missing.length} of ${objects.length} files, ${compiler.version}) ...`);
  for (const place of [join(cacheDirectory(), "objects"), dirname(folder)])
    mkdirSync(place, { recursive: true });
  const staging = mkdtempSync(`${folder}-`);
  try {
    const includes = [
      ...includeArguments(libtorch),
      ...library.includes.flatMap((place) => ["-isystem", place]),
    ];
    await runAll(missing, async ({ source, object }) => {
      const made = join(staging, basename(object));
      await run(compiler.command, [...flags, ...includes, "-c", source, "-o", made]);
      renameSync(made, object);
    });
    await run(compiler.command, [...linking, "-o", join(staging, basename(path))]);
    if (!existsSync(folder)) renameSync(staging, folder);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return { ...build, compiled: true };
}

/** @param folder of `native/`, "" or with its slash */
function nativeFiles(folder: string): string[] {
  const names = readdirSync(join(nativeFolder, folder)).filter((name) => name.endsWith(".cc"));
  return names.sort().map((name) => folder + name);
}

function findCompiler(): { command: string; version: string } {
  const candidates = [process.env.CXX, "g++", "clang++", "c++"].filter((name): name is string =>
    Boolean(name),
  );
  for (const command of candidates) {
    const answer = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (answer.status === 0) return { command, version: answer.stdout.split("\n")[0]!.trim() };
  }
  throw new InstallationError("ERR_COMPILER_MISSING", "no C++ compiler was found.", {
    fix: "install one (Debian, Ubuntu: apt-get install g++ make; macOS: xcode-select --install), or set CXX.",
  });
}

function compileFlags(): string[] {
  const flags = [
    "-std=c++20",
    "-O3",
    processorFlag(),
    "-fno-math-errno",
    // As libtorch's own kernels: a product is rounded before it is added to.
    "-ffp-contract=off",
    "-fPIC",
    "-DNDEBUG",
    "-DNAPI_CPP_EXCEPTIONS",
    "-DNODE_ADDON_API_DISABLE_DEPRECATED",
  ];
  if (process.platform !== "darwin") flags.push("-fopenmp");
  return flags;
}

/** Node's headers come as packages; their versions say what they are, wherever they lie. */
function nodeHeaders(): { folders: string[]; versions: string[] } {
  const require = createRequire(import.meta.url);
  const manifests = [
    require.resolve("node-addon-api/package.json"),
    require.resolve("node-api-headers/package.json"),
  ];
  const [addonApi, nodeApi] = manifests.map((manifest) => dirname(manifest)) as [string, string];
  const versions = manifests.map((manifest) => {
    const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as { name: string; version: string };
    return `${name}@${version}`;
  });
  return { folders: [addonApi, join(nodeApi, "include")], versions };
}

function includeArguments({ root }: Libtorch): string[] {
  const torch = [join(root, "include"), join(root, "include", "torch", "csrc", "api", "include")];
  return [
    `-I${nativeFolder}`,
    ...nodeHeaders().folders.map((folder) => `-I${folder}`),
    ...torch.flatMap((folder) => ["-isystem", folder]),
    // Looked at last: only where libtorch comes without Gloo's headers.
    "-idirafter",
    join(nativeFolder, "gloo-types"),
  ];
}

function linkArguments(libtorch: Libtorch, libraries: string[]): string[] {
  const lib = join(libtorch.root, "lib");
  // Never unloaded: Node closes the addons of a worker that ends, and libtorch keeps pointers to our allocator and kernels.
  const platform =
    process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : ["-fopenmp", "-Wl,-z,nodelete"];
  return [`-L${lib}`, ...libraries, `-Wl,-rpath,${lib}`, ...platform];
}

/** A file of `native/` and those of our headers that it includes, and that they include. */
function withHeaders(file: string, found = new Set<string>()): string[] {
  if (found.has(file)) return [...found];
  found.add(file);
  const text = readFileSync(join(nativeFolder, file), "utf8");
  for (const [, header] of text.matchAll(/^#include "([\w/-]+\.h)"/gm)) {
    const beside = join(dirname(file), header!);
    withHeaders(existsSync(join(nativeFolder, beside)) ? beside : header!, found);
  }
  return [...found];
}

/** Parts that are names of native files count with their text. */
function keyOf(parts: string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(part).update("\0");
    if (/^[\w/-]+\.(cc|h)$/.test(part)) hash.update(readFileSync(join(nativeFolder, part)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** A file of ours needs about 1 GB and ten seconds to compile: a few at a time. */
async function runAll<T>(jobs: readonly T[], work: (job: T) => Promise<void>): Promise<void> {
  const waiting = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await work(job);
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism(), jobs.length) }, worker));
}

function run(command: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    let complaints = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaints += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) return resolve();
      const shown = complaints
        .split("\n")
        .filter((line) => /error|fatal|undefined/.test(line))
        .slice(0, 10)
        .join("\n    ");
      reject(
        new InstallationError(
          "ERR_BINDING_COMPILE",
          `the binding does not compile:\n    ${shown || complaints.slice(-2000)}`,
          {
            where: args.at(-1) ?? command,
            fix: "check that the compiler knows C++20 (g++ 11 or newer) and that libtorch is complete; `camelid doctor` shows both.",
          },
        ),
      );
    });
  });
}
