/**
 * What the binding asks of a processor. It is compiled for the one at hand, and folders are shared: caches and checkouts lie where
 * other machines find them, and names of processors ("AMD EPYC") do not say what they can do.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { InstallationError } from "../errors.js";

/** `$CAMELID_MARCH`, such as x86-64-v3, builds one binding for processors of several kinds. */
export function processorFlag(): string {
  return `-march=${process.env.CAMELID_MARCH || "native"}`;
}

/**
 * What the compiler defines for a processor: all it may use of it, and what it tunes for.
 * @throws {InstallationError} `ERR_BINDING_COMPILE` for a processor that the compiler does not know
 */
export function compilerMacros(compiler: string, flag = processorFlag()): string {
  const answer = spawnSync(compiler, [flag, "-E", "-dM", "-x", "c++", "-"], { encoding: "utf8", input: "" });
  if (answer.status === 0) return answer.stdout;
  throw new InstallationError("ERR_BINDING_COMPILE", `the compiler does not take ${flag}.`, {
    where: `${compiler}: ${answer.stderr?.split("\n")[0] ?? ""}`,
    fix: "set CAMELID_MARCH to a processor that it knows, or unset it to compile for this one.",
  });
}

/** Capabilities by the names that Linux gives them (avx512_bf16); none where it is not Linux. */
export function capabilities(cpuinfo = readCpuinfo()): string[] {
  const names = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? "";
  return names.split(/\s+/).filter((name) => name !== "");
}

/** Those capabilities that a compiler with these macros may use. */
export function neededOf(present: readonly string[], macros: string): string[] {
  const used = new Set([...macros.matchAll(/^#define __(\w+?)__ /gm)].map(([, name]) => plain(name!)));
  return present.filter((name) => used.has(plain(name))).sort();
}

/** @throws {InstallationError} `ERR_TORCH_PROCESSOR` where the binding would end the process with an illegal instruction */
export function checkProcessor(needed: readonly string[], path: string, present = capabilities()): void {
  const missing = present.length === 0 ? [] : needed.filter((name) => !present.includes(name));
  if (missing.length === 0) return;
  throw new InstallationError("ERR_TORCH_PROCESSOR", "the binding was compiled for another processor.", {
    where: `${path}; this processor is without ${missing.join(", ")}`,
    fix: "run `npx camelid setup` on this machine. Machines that share a checkout: set CAMELID_MARCH to what all have, such as x86-64-v3, and run it once.",
  });
}

/** avx512_bf16 is __AVX512BF16__ to a compiler. */
const plain = (name: string): string => name.toLowerCase().replaceAll("_", "");

/** The first processor's part: the file has one for each, and is written as it is read. */
function readCpuinfo(): string {
  const path = "/proc/cpuinfo";
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(16_384);
    return bytes.toString("latin1", 0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}
