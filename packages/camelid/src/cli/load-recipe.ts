import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { InternalError, SettingsError } from "../errors.js";
import type { Recipe } from "../settings/recipe.js";

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
