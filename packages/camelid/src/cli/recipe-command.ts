import { Command } from "commander";
import { SettingsError } from "../errors.js";
import { aloneInTheWorld, joinWorld } from "../parallel/world.js";
import { Interrupt } from "../run/interrupt.js";
import { type OutputMode, outputMode } from "../run/progress.js";
import { type SettingsShape, settingsShape } from "../settings/knob.js";
import { formatSettings } from "../settings/print.js";
import type { Recipe } from "../settings/recipe.js";
import type { Resolved } from "../settings/resolve.js";
import { fetchNamedModels } from "./fetch-models.js";
import { launchRanks } from "./launch-ranks.js";
import { addKnobOptions, addSettingsOptions, type OwnOptions, recipeSettings } from "./settings-options.js";

/**
 * The command of a recipe. Flags and their help come from its schema; preset, file, `--set` and flags are merged
 * and checked once; Ctrl+C becomes a request to stop and save.
 */
export function recipeCommand(name: string, recipe: Recipe): Command {
  const shape = settingsShape(recipe.settings);
  const required = [...shape.knobs.values()].filter((knob) => knob.required);
  const command = new Command(name)
    .usage(`${required.map(({ flag, placeholder }) => `${flag} <${placeholder}>`).join(" ")} [options]`)
    // What commander would refuse is collected with all other problems; a recipe takes no bare words.
    .allowUnknownOption()
    .allowExcessArguments()
    .optionsGroup("Where values come from (a flag beats --set, then --config, then --preset):");
  addSettingsOptions(command, Object.keys(recipe.presets));
  command
    .option("--print-settings", "Print the effective settings and where each comes from, and stop")
    .option("--json", "Progress as JSON lines, for programs");
  if (recipe.parallel)
    command.option("--nproc <count>", "Train with so many processes on this machine, one for each GPU");
  if (recipe.resumable) command.option("--resume", "Continue the run in --out from its last checkpoint");
  command.helpOption("-h, --help", "Print this");
  addKnobOptions(command, shape);
  command.action(async (_options: unknown, called: Command) => {
    process.exitCode = await runRecipe(name, recipe, called, shape);
  });
  return command;
}

async function runRecipe(
  name: string,
  recipe: Recipe,
  command: Command,
  shape: SettingsShape,
): Promise<0 | 130> {
  const own = command.opts<OwnOptions>();
  let mode = outputMode(own.json ?? false);
  const resolved = recipeSettings(name, recipe, command, shape);
  if (own.printSettings) {
    printSettings(resolved, own.json ?? false);
    return 0;
  }
  const count = processCount(own.nproc);
  if (count > 1) return (await launchRanks(count, process.argv.slice(2))) as 0 | 130;
  using world = recipe.parallel ? joinWorld() : aloneInTheWorld();
  if (!world.isMain) mode = "silent";
  say(mode, `camelid ${name}\n${formatSettings(resolved)}`);
  using interrupt = new Interrupt(recipe.interruptText === undefined ? {} : { text: recipe.interruptText });
  const { origins } = resolved;
  const { signal } = interrupt;
  let settings: typeof resolved.settings;
  try {
    // What rank 0 has fetched the others find in the cache.
    settings = await world.mainFirst(() => fetchNamedModels(resolved.settings, { mode, signal }));
  } catch (error) {
    if (signal.aborted) return 130; // what is fetched so far stays, and the next call goes on with it
    throw error;
  }
  const context = {
    recipe: name,
    origins,
    resume: own.resume ?? false,
    signal,
    output: mode,
    world,
  };
  try {
    return (await recipe.run(settings, context)) === "interrupted" ? 130 : 0;
  } catch (error) {
    world.reportFailure(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

function processCount(text = "1"): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new SettingsError("ERR_INVALID_VALUE", `--nproc is "${text}"; it must be a positive integer.`, {
    where: "--nproc",
    fix: "give the number of processes, such as the number of GPUs of this machine.",
  });
}

function printSettings(resolved: Resolved<object>, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(resolved, null, 2)}\n` : `${formatSettings(resolved)}\n`);
}

/** Standard output belongs to the JSON lines when they are asked for. */
function say(mode: OutputMode, text: string): void {
  if (mode === "json") process.stderr.write(`${text}\n`);
  else if (mode !== "silent") process.stdout.write(`${text}\n`);
}
