import type { Command } from "commander";
import { loadBuiltRecipe } from "../load-recipe.js";
import { recipeCommand } from "../recipe-command.js";

export async function command(): Promise<Command> {
  const recipe = await loadBuiltRecipe("dpo");
  return recipeCommand("dpo", recipe).description(
    "Preference training: the model learns to prefer chosen answers over rejected ones, by more than it did before.",
  );
}
