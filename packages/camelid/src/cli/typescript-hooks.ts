/** What Node.js asks while it imports, see `typescript-files.ts`. Runs in a thread of its own. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { LoadHook, ResolveHook } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Compiler } from "./typescript-files.js";

let compiler: Compiler | undefined;

export function initialize(found: Compiler | undefined): void {
  compiler = found;
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  try {
    return await next(specifier, context);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND";
    const isOwn = /^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith(".ts") === true;
    if (!isMissing || !isOwn) throw error;
    return next(specifier.replace(/\.js$/, ".ts"), context);
  }
};

export const load: LoadHook = async (url, context, next) => {
  if (compiler === undefined || !/^file:.*\.ts$/.test(url)) return next(url, context);
  return { format: "module", source: compiled(fileURLToPath(url), compiler), shortCircuit: true };
};

/** One file by itself, in a JavaScript that every Node.js understands: ES2022 has no `using`. Types are taken out, not checked. */
function compiled(file: string, { tsc, major }: Compiler): string {
  const folder = mkdtempSync(join(tmpdir(), "camelid-tsc-"));
  try {
    const alone = ["--noResolve", "--noLib", "--noCheck", "--types", "", "--inlineSourceMap"];
    const language = ["--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"];
    const noConfig = major >= 6 ? ["--ignoreConfig"] : [];
    const options = [...alone, ...language, ...noConfig, "--outDir", folder];
    const { stdout } = spawnSync(process.execPath, [tsc, ...options, file], { encoding: "utf8" });
    const result = join(folder, `${basename(file, ".ts")}.js`);
    if (!existsSync(result)) throw new SyntaxError(`${tsc} does not compile ${file}: ${stdout.trim()}`);
    return readFileSync(result, "utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
