/** Compiles `native/*.cc` against one libtorch, in the cache, once per sources, compiler and libtorch. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InstallationError } from "../errors.js";
import { cacheDirectory } from "./cache-directory.js";
import type { Libtorch } from "./libtorch.js";

const nativeFolder = fileURLToPath(new URL("../../native", import.meta.url));

export interface Build {
  path: string;
  key: string;
  compiler: string;
  compiled: boolean;
}

export async function buildBinding(libtorch: Libtorch, say: (line: string) => void): Promise<Build> {
  const compiler = findCompiler();
  const flags = compileFlags(libtorch);
  const sources = readdirSync(nativeFolder).filter((name) => name.endsWith(".cc"));
  const linking = linkArguments(libtorch, [], "");
  const key = keyOf([compiler.version, cpus()[0]?.model ?? "", libtorch.version, ...flags, ...linking]);
  const folder = join(cacheDirectory(), "binding", key);
  const path = join(folder, "camelid_torch.node");
  if (existsSync(path)) return { path, key, compiler: compiler.version, compiled: false };

  say(`compiling the binding (${sources.length} files, ${compiler.version}) ...`);
  mkdirSync(dirname(folder), { recursive: true });
  const staging = mkdtempSync(`${folder}-`);
  try {
    const jobs = sources.map((source) => {
      const object = join(staging, source.replace(/\.cc$/, ".o"));
      return { object, args: [...flags, "-c", join(nativeFolder, source), "-o", object] };
    });
    await runAll(
      compiler.command,
      jobs.map((job) => job.args),
    );
    await runAll(compiler.command, [
      linkArguments(
        libtorch,
        jobs.map((job) => job.object),
        join(staging, "camelid_torch.node"),
      ),
    ]);
    for (const { object } of jobs) rmSync(object);
    if (!existsSync(folder)) renameSync(staging, folder);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return { path, key, compiler: compiler.version, compiled: true };
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

function compileFlags(libtorch: Libtorch): string[] {
  const require = createRequire(import.meta.url);
  const headers = [
    dirname(require.resolve("node-addon-api/package.json")),
    join(dirname(require.resolve("node-api-headers/package.json")), "include"),
  ];
  const torch = [
    join(libtorch.root, "include"),
    join(libtorch.root, "include", "torch", "csrc", "api", "include"),
  ];
  const flags = [
    "-std=c++20",
    "-O3",
    // Compiled on the machine that runs it; the key of the build names the processor.
    "-march=native",
    "-fno-math-errno",
    // As libtorch's own kernels: a product is rounded before it is added to.
    "-ffp-contract=off",
    "-fPIC",
    "-DNDEBUG",
    "-DNAPI_CPP_EXCEPTIONS",
    "-DNODE_ADDON_API_DISABLE_DEPRECATED",
  ];
  if (process.platform !== "darwin") flags.push("-fopenmp");
  return [
    ...flags,
    ...headers.map((folder) => `-I${folder}`),
    ...torch.flatMap((folder) => ["-isystem", folder]),
  ];
}

function linkArguments(libtorch: Libtorch, objects: string[], output: string): string[] {
  const lib = join(libtorch.root, "lib");
  // Never unloaded: Node closes the addons of a worker that ends, and libtorch keeps pointers to our allocator and kernels.
  const platform =
    process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : ["-fopenmp", "-Wl,-z,nodelete"];
  return [
    "-shared",
    "-o",
    output,
    ...objects,
    `-L${lib}`,
    "-ltorch_cpu",
    "-lc10",
    `-Wl,-rpath,${lib}`,
    ...platform,
  ];
}

function keyOf(parts: string[]): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(nativeFolder).sort())
    hash.update(name).update(readFileSync(join(nativeFolder, name)));
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 16);
}

/** A file of ours needs about 1 GB and ten seconds to compile: a few at a time. */
async function runAll(command: string, calls: string[][]): Promise<void> {
  const waiting = [...calls];
  const worker = async (): Promise<void> => {
    for (let args = waiting.shift(); args !== undefined; args = waiting.shift()) await run(command, args);
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism(), calls.length) }, worker));
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
