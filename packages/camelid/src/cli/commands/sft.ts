import type { Command } from "commander";
import { loadBuiltRecipe } from "../load-recipe.js";
import { recipeCommand } from "../recipe-command.js";

export async function command(): Promise<Command> {
  const recipe = await loadBuiltRecipe("sft");
  return recipeCommand("sft", recipe).description(
    "Supervised fine-tuning: the model learns to give the answers of the data to its prompts.",
  );
}
