import type { Command } from "commander";
import { loadBuiltRecipe } from "../load-recipe.js";
import { recipeCommand } from "../recipe-command.js";

export async function command(): Promise<Command> {
  const recipe = await loadBuiltRecipe("kto");
  return recipeCommand("kto", recipe).description(
    "Preference training from answers that were each judged good or bad, without pairs.",
  );
}
