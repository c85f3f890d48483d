import { existsSync } from "node:fs";
import { createRequire, register } from "node:module";
import { dirname, join } from "node:path";

/** Built beside this file; run as source there is none, and whoever runs TypeScript source needs none. */
const HOOKS = new URL("./typescript-hooks.js", import.meta.url);

/** How the compiler is called. */
export interface Compiler {
  tsc: string;
  major: number;
}

let registered = false;

/**
 * Lets Node.js import TypeScript files of a project: with the project's own `typescript` package where it has one, else as far as
 * Node.js does by itself. `./presets/sft.js` finds the `.ts` file that compilers mean by it.
 * @param file a file of the project
 */
export function readTypeScript(file: string): void {
  if (registered || !existsSync(HOOKS)) return;
  registered = true;
  register(HOOKS, { data: compilerNear(file) });
}

function compilerNear(file: string): Compiler | undefined {
  const require = createRequire(file);
  try {
    const description = require.resolve("typescript/package.json");
    const { version } = require(description) as { version: string };
    return { tsc: join(dirname(description), "bin", "tsc"), major: Number.parseInt(version, 10) };
  } catch {
    return undefined; // The project has none.
  }
}
