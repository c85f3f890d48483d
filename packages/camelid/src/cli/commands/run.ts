import { existsSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { SettingsError } from "../../errors.js";
import type { Recipe } from "../../settings/recipe.js";
import { checkRecipe } from "../load-recipe.js";
import { recipeCommand } from "../recipe-command.js";

/** `camelid run ./mine.ts ...`: everything a built-in recipe has, for a file of one's own. */
export function command(): Command {
  return new Command("run")
    .description("Runs a recipe file of your own; flags and help come from its `settings`.")
    .usage("<recipe> [options]")
    .argument("<recipe>", "a .js file, or a .ts file where Node.js reads TypeScript (22.18 and later)")
    .argument("[options...]", "of the recipe; `camelid run <recipe> --help` lists them")
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (file: string, options: string[], _own: unknown, called: Command) => {
      if (file === "--help" || file === "-h") called.help();
      const recipe = await loadRecipeFile(file);
      const inner = recipeCommand(basename(file, extname(file)), recipe);
      inner.exitOverride().configureOutput(called.configureOutput());
      await inner.parseAsync(options, { from: "user" });
    });
}

async function loadRecipeFile(file: string): Promise<Recipe> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new SettingsError("ERR_RECIPE_FILE", "there is no such recipe file.", {
      where: path,
      fix: "make one with `camelid copy sft ./mine.ts`.",
    });
  }
  try {
    return checkRecipe(await import(pathToFileURL(path).href), path);
  } catch (cause) {
    const { code, name } = cause as NodeJS.ErrnoException;
    // Node 20 does not know .ts files; 22 reads their types but not `using`.
    if (code === "ERR_UNKNOWN_FILE_EXTENSION" || (name === "SyntaxError" && extname(path) === ".ts")) {
      throw new SettingsError(
        "ERR_RECIPE_FILE",
        `Node.js ${process.versions.node} cannot run this TypeScript file as it is.`,
        {
          where: path,
          fix: `turn it into JavaScript and run that, or use Node.js 24:\n         npx esbuild ${file} --bundle --packages=external --platform=node --target=node20 \\\n         --format=esm --outfile=${file.replace(/\.ts$/, ".js")}`,
          cause,
        },
      );
    }
    throw cause;
  }
}
