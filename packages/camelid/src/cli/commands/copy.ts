import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { Command } from "commander";
import { InternalError, SettingsError } from "../../errors.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { closest } from "../../settings/suggest.js";
import { builtRecipeNames, builtRecipes } from "../load-recipe.js";

export function command(): Command {
  return new Command("copy")
    .description(
      "Copies the TypeScript source of a recipe, and the files it imports by relative paths, to edit it.",
    )
    .argument("<recipe>", builtRecipeNames().join(", ") || "none is built")
    .argument("<file>", "where to put it: ./mine.ts")
    .action((name: string, file: string) => {
      const written = copyRecipe(name, file);
      process.stdout.write(`${written.map((path) => `wrote ${shortest(path)}`).join("\n")}\n`);
      process.stdout.write(`run it with \`camelid run ${file} --model ... --data ... --out ...\`\n`);
    });
}

/**
 * Writes the source of a built recipe to `file`, and what it imports by relative paths beside it.
 * Nothing is written unless all of it can be, and no file is replaced.
 *
 * @returns the files written
 */
export function copyRecipe(name: string, file: string, folder: URL = builtRecipes): string[] {
  const names = builtRecipeNames(folder);
  if (!names.includes(name)) {
    const suggestion = closest(name, names);
    throw new SettingsError("ERR_UNKNOWN_RECIPE", `"${name}" is not a recipe.`, {
      fix: `${suggestion === undefined ? "" : `did you mean "${suggestion}"? `}recipes: ${names.join(", ")}.`,
    });
  }
  const root = new URL(`${name}.js`, folder);
  const sources = new Map<string, string>();
  const collect = (url: URL, path: string) => {
    const source = sourceOf(url).replace(
      /(\bfrom ")(\.\.?\/[^"]+\.js)"/g,
      (_, from: string, specifier: string) => {
        const imported = new URL(specifier, url);
        // The recipe itself has a new name; what it imports keeps its own.
        const isRoot = imported.href === root.href;
        const at = isRoot ? resolve(file) : join(dirname(path), specifier.replace(/\.js$/, ".ts"));
        if (!sources.has(at)) collect(imported, at);
        return `${from}${isRoot ? importPath(dirname(path), at) : specifier}"`;
      },
    );
    sources.set(path, source);
  };
  sources.set(resolve(file), ""); // first in order, and known to what imports it back
  collect(root, resolve(file));
  for (const path of sources.keys()) {
    if (existsSync(path)) {
      throw new SettingsError("ERR_FILE_EXISTS", "this file is there already and is not replaced.", {
        where: path,
        fix: "choose another name or folder.",
      });
    }
  }
  for (const [path, source] of sources) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileAtomic(path, source);
  }
  return [...sources.keys()];
}

function shortest(path: string): string {
  const way = relative(process.cwd(), path);
  return way.length < path.length ? way : path;
}

/** `./mine.js` or `../mine.js`: how a file in `folder` imports the TypeScript file `path`. */
function importPath(folder: string, path: string): string {
  const way = relative(folder, path).replaceAll("\\", "/").replace(/\.ts$/, ".js");
  return way.startsWith(".") ? way : `./${way}`;
}

/** The build keeps each source inside its source map, so what is copied is what was compiled. */
function sourceOf(url: URL): string {
  const map = new URL(`${url.href}.map`);
  if (existsSync(map)) {
    const { sourcesContent } = JSON.parse(readFileSync(map, "utf8")) as {
      sourcesContent?: (string | null)[];
    };
    if (typeof sourcesContent?.[0] === "string") return sourcesContent[0];
  }
  throw new InternalError("this build does not carry the recipe's source.", {
    where: map.pathname,
    fix: "build again with `npm run build`.",
  });
}
