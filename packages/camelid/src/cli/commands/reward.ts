import type { Command } from "commander";
import { loadBuiltRecipe } from "../load-recipe.js";
import { recipeCommand } from "../recipe-command.js";

export async function command(): Promise<Command> {
  const recipe = await loadBuiltRecipe("reward");
  return recipeCommand("reward", recipe).description(
    "Train a reward model on preferences: a number for every answer, higher for those that are preferred.",
  );
}
