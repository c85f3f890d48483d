import { existsSync, readdirSync } from "node:fs";
import { extname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { z } from "zod";
import { InternalError, SettingsError } from "../errors.js";
import type { Recipe } from "../settings/recipe.js";
import { readTypeScript } from "./typescript-files.js";

/** Where the build puts the recipes: beside this package's own modules. */
export const builtRecipes = new URL("../recipes/", import.meta.url);

/** @throws {InternalError} when this installation does not have it: the build is incomplete */
export async function loadBuiltRecipe(name: string, folder: URL = builtRecipes): Promise<Recipe> {
  const url = new URL(`${name}.js`, folder);
  if (!existsSync(url)) {
    throw new InternalError(`the recipe "${name}" is not part of this build.`, {
      where: fileURLToPath(url),
      fix: "build again with `npm run build`.",
    });
  }
  return checkRecipe(await import(url.href), fileURLToPath(url));
}

/** A recipe of one's own. @throws {SettingsError} `ERR_RECIPE_FILE`, `ERR_NOT_A_RECIPE` */
export async function loadRecipeFile(file: string): Promise<Recipe> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new SettingsError("ERR_RECIPE_FILE", "there is no such recipe file.", {
      where: path,
      fix: "make one with `camelid copy sft ./mine.ts`.",
    });
  }
  if (extname(path) === ".ts") readTypeScript(path);
  try {
    return checkRecipe(await import(pathToFileURL(path).href), path);
  } catch (cause) {
    const { code, name } = cause as NodeJS.ErrnoException;
    // Without a compiler Node 20 does not know .ts files; 22 reads their types but not `using`.
    if (code === "ERR_UNKNOWN_FILE_EXTENSION" || (name === "SyntaxError" && extname(path) === ".ts")) {
      throw new SettingsError(
        "ERR_RECIPE_FILE",
        `Node.js ${process.versions.node} cannot run this TypeScript file as it is.`,
        {
          where: path,
          fix: `\`npm install --save-dev typescript\` in its project, or use Node.js 24, or turn it into JavaScript and run that:\n         npx esbuild ${file} --bundle --packages=external --platform=node --target=node20 \\\n         --format=esm --outfile=${file.replace(/\.ts$/, ".js")}`,
          cause,
        },
      );
    }
    throw cause;
  }
}

/** @throws {SettingsError} `ERR_NOT_A_RECIPE` when a module does not export what a recipe does */
export function checkRecipe(module: Partial<Recipe>, path: string): Recipe {
  const missing = [
    module.settings instanceof z.ZodObject ? undefined : "`settings`, a zod object",
    typeof module.presets === "object" ? undefined : "`presets`, an object of functions (it may be empty)",
    typeof module.run === "function" ? undefined : "`run`, an async function",
  ].filter((part) => part !== undefined);
  if (missing.length === 0) return module as Recipe;
  throw new SettingsError(
    "ERR_NOT_A_RECIPE",
    `this file is not a recipe: it does not export ${missing.join("; ")}.`,
    {
      where: path,
      fix: "start from a copy: `camelid copy sft ./mine.ts`.",
    },
  );
}

/** The recipes of this build, by name. */
export function builtRecipeNames(folder: URL = builtRecipes): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".js"))
    .map((name) => name.slice(0, -".js".length))
    .sort();
}
