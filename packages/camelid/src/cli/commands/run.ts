import { basename, extname } from "node:path";
import { Command } from "commander";
import { loadRecipeFile } from "../load-recipe.js";
import { recipeCommand } from "../recipe-command.js";

/** `camelid run ./mine.ts ...`: everything a built-in recipe has, for a file of one's own. */
export function command(): Command {
  return new Command("run")
    .description("Runs a recipe file of your own; flags and help come from its `settings`.")
    .usage("<recipe> [options]")
    .argument("<recipe>", "a .js file; or a .ts file, with Node.js 24 or the `typescript` package beside it")
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
