import { Command, InvalidArgumentError } from "commander";
import { Interrupt } from "../../run/interrupt.js";
import { outputMode, Progress } from "../../run/progress.js";
import { readRunSettings } from "../../run/run-directory.js";
import { loadBuiltRecipe, loadRecipeFile } from "../load-recipe.js";
import { isEqual, type ReplayResult, replayStep } from "../replay.js";

interface Options {
  step: number;
  recipe?: string;
  json?: boolean;
}

export function command(): Command {
  return new Command("replay")
    .description(
      "Computes one step of a run again, from the newest checkpoint before it, and compares loss and gradient norm with what the run recorded: equal to the last bit on the same machine, libtorch and threads. Nothing is written. Exit code 1 when they differ.",
    )
    .argument("<run>", "run folder")
    .requiredOption("--step <number>", "the step", positiveInteger)
    .option("--recipe <file>", "recipe file of a run that `camelid run` made")
    .option("--json", "the result as JSON")
    .action(async (folder: string, { step, recipe: file, json = false }: Options) => {
      const { recipe: name } = readRunSettings(folder).provenance;
      const recipe = file === undefined ? await loadBuiltRecipe(name) : await loadRecipeFile(file);
      using interrupt = new Interrupt({
        say: (text) => process.stderr.write(`\n${text.split(" and")[0]}.\n`),
      });
      using progress = new Progress({
        label: "replay",
        unit: "step",
        mode: json ? "silent" : outputMode(false),
      });
      let count = 0;
      const onStep = (): void => progress.update(++count);
      const result = await replayStep(folder, { step, recipe, signal: interrupt.signal, onStep });
      progress.end();
      process.stdout.write(
        json ? `${JSON.stringify({ step, ...result }, null, 2)}\n` : describe(step, result),
      );
      process.exitCode = result.numbers.every(isEqual) ? 0 : 1;
    });
}

function describe(step: number, { from, numbers, firstDifference, warnings }: ReplayResult): string {
  const origin = from === 0 ? "the base model" : `checkpoints/step-${from}`;
  const lines = [`step ${step}, computed again from ${origin}`, ""];
  const width = Math.max(...numbers.map(({ name }) => name.length));
  lines.push(`${"".padEnd(width)}  ${"recorded".padEnd(22)}  recomputed`);
  for (const pair of numbers) {
    const { name, recorded, recomputed } = pair;
    const verdict = isEqual(pair) ? "equal" : "DIFFERENT";
    lines.push(
      `${name.padEnd(width)}  ${String(recorded).padEnd(22)}  ${String(recomputed).padEnd(22)}  ${verdict}`,
    );
  }
  lines.push("");
  if (numbers.every(isEqual)) lines.push("equal to the last bit");
  else lines.push("NOT equal");
  if (firstDifference !== undefined) lines.push(`the first step that differs is ${firstDifference}`);
  lines.push(...warnings.map((message) => `warning: ${message}`));
  return `${lines.join("\n")}\n`;
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("A step is a number from 1 on.");
  return value;
}
