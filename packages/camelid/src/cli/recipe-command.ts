import { Command, Option } from "commander";
import { SettingsError } from "../errors.js";
import { aloneInTheWorld, joinWorld } from "../parallel/world.js";
import { Interrupt } from "../run/interrupt.js";
import { type OutputMode, outputMode } from "../run/progress.js";
import { readRunSettings } from "../run/run-directory.js";
import { byGroup } from "../settings/docs-table.js";
import { type Knob, type SettingsShape, settingsShape } from "../settings/knob.js";
import { everyKey } from "../settings/knobs.js";
import { type Layer, readSettingsFile } from "../settings/layers.js";
import { formatSettings, valueText } from "../settings/print.js";
import type { Problem } from "../settings/problems.js";
import type { Recipe } from "../settings/recipe.js";
import { type Resolved, resolveSettings } from "../settings/resolve.js";
import { closest } from "../settings/suggest.js";
import { fetchNamedModels } from "./fetch-models.js";
import { launchRanks } from "./launch-ranks.js";

/** What every recipe's command takes besides the knobs of its schema. */
interface OwnOptions {
  preset?: string;
  config?: string;
  set?: string[];
  resume?: boolean;
  printSettings?: boolean;
  json?: boolean;
  nproc?: string;
}

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

/** `--preset`, `--config` and `--set`. @param presets their names; undefined where they are not known yet */
export function addSettingsOptions(command: Command, presets: readonly string[] | undefined): void {
  if (presets === undefined) command.option("--preset <name>", "A preset of `camelid sft`");
  else if (presets.length > 0) command.option("--preset <name>", `One of ${presets.join(", ")}`);
  command
    .option("--config <file>", "JSON or YAML file of settings; a run's settings.json is one")
    .option("--set <key=value>", "One setting, such as learningRate=1e-5; may be repeated", collect);
}

/** A flag for each knob, in groups. */
export function addKnobOptions(command: Command, shape: SettingsShape): void {
  for (const [group, knobs] of byGroup(shape)) {
    for (const knob of knobs) command.addOption(knobOption(knob).helpGroup(`${group}:`));
  }
}

/**
 * What preset, file, `--set` and flags of a command come to.
 * @throws {SettingsError} with every problem found
 */
export function recipeSettings(
  name: string,
  recipe: Recipe,
  command: Command,
  shape: SettingsShape,
): Resolved<Record<string, unknown>> {
  const layers = layersOf(name, recipe, command, shape);
  return resolveSettings(recipe.settings, layers, {
    command: name,
    problems: unknownWords(command, shape),
    everyKey,
  });
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

function layersOf(name: string, recipe: Recipe, command: Command, shape: SettingsShape): Layer[] {
  const own = command.opts<OwnOptions>();
  const flags = flagValues(command, shape);
  const layers: Layer[] = [{ source: "flag", values: flags }];
  if (own.set !== undefined) layers.push({ source: "set", entries: own.set });
  if (own.config !== undefined) layers.push(readSettingsFile(own.config));
  if (own.preset !== undefined) layers.push(presetLayer(own.preset, name, recipe));
  if (own.resume) {
    const out = flags.get("out");
    if (typeof out !== "string") {
      throw new SettingsError("ERR_MISSING_VALUE", "--resume needs to know which run.", {
        fix: `name its folder: \`camelid ${name} --resume --out <folder>\`; its settings are taken from there.`,
      });
    }
    layers.push({ source: "checkpoint", path: out, values: readRunSettings(out).settings });
  }
  return layers;
}

function presetLayer(preset: string, name: string, recipe: Recipe): Layer {
  const make = Object.hasOwn(recipe.presets, preset) ? recipe.presets[preset] : undefined;
  if (make !== undefined) return { source: "preset", name: preset, values: make() };
  const names = Object.keys(recipe.presets);
  const suggestion = closest(preset, names);
  throw new SettingsError("ERR_UNKNOWN_PRESET", `"${preset}" is not a preset of \`camelid ${name}\`.`, {
    where: "--preset",
    fix: `${suggestion === undefined ? "" : `did you mean "${suggestion}"? `}${names.length === 0 ? "this recipe has none." : `presets: ${names.join(", ")}.`}`,
  });
}

function knobOption(knob: Knob): Option {
  // A switch may be given bare (`--packing`) or with its value (`--packing false`).
  const flag =
    knob.schema.type === "boolean"
      ? `${knob.flag} [${knob.placeholder}]`
      : `${knob.flag} <${knob.placeholder}>`;
  const choices = knob.placeholder === "choice" ? ` (${knob.accepts})` : "";
  // Spaces let a long list break into lines.
  const given = knob.default === undefined ? "" : valueText(knob.default);
  const text = given.length > 30 ? given.replaceAll(",", ", ") : given;
  const value = knob.required ? " [required]" : text === "" ? "" : ` [${text}]`;
  return new Option(flag, `${knob.help.replace(/\.$/, "")}${choices}${value}`);
}

function flagValues(command: Command, shape: SettingsShape): Map<string, string | true> {
  const values = new Map<string, string | true>();
  for (const knob of shape.knobs.values()) {
    const value: unknown = command.getOptionValue(knobOption(knob).attributeName());
    if (typeof value === "string" || value === true) values.set(knob.path, value);
  }
  return values;
}

/** Flags that nobody declared, with the value that follows each; and bare words, which no recipe takes. */
function unknownWords(command: Command, shape: SettingsShape): Problem[] {
  const problems: Problem[] = [];
  const known = command.options.flatMap((option) => (option.long ? [option.long] : []));
  const aliases = new Map([...shape.aliases].map(([alias, path]) => [alias, shape.knobs.get(path)!.flag]));
  for (const knob of shape.knobs.values()) aliases.set(knob.path, knob.flag);
  for (const [i, word] of command.args.entries()) {
    if (word.startsWith("-")) {
      const flag = word.split("=")[0]!;
      const suggestion = closest(flag, known, aliases);
      const fix = suggestion === undefined ? undefined : `did you mean ${suggestion}?`;
      problems.push({
        code: "ERR_UNKNOWN_KEY",
        text: `${flag} is not a flag of \`camelid ${command.name()}\``,
        fix,
      });
    } else if (!command.args[i - 1]?.startsWith("-")) {
      problems.push({
        code: "ERR_UNEXPECTED_ARGUMENT",
        text: `"${word}" was not expected here`,
        fix: "give every value its flag",
      });
    }
  }
  return problems;
}

function printSettings(resolved: Resolved<object>, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(resolved, null, 2)}\n` : `${formatSettings(resolved)}\n`);
}

/** Standard output belongs to the JSON lines when they are asked for. */
function say(mode: OutputMode, text: string): void {
  if (mode === "json") process.stderr.write(`${text}\n`);
  else if (mode !== "silent") process.stdout.write(`${text}\n`);
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}
