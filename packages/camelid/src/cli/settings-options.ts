/** Settings on the command line: flags made from a schema, and what preset, file, `--set` and flags come to. Needs no libtorch. */
import { type Command, Option } from "commander";
import { SettingsError } from "../errors.js";
import { readRunSettings } from "../run/run-directory.js";
import { byGroup } from "../settings/docs-table.js";
import type { Knob, SettingsShape } from "../settings/knob.js";
import { everyKey } from "../settings/knobs.js";
import { type Layer, readSettingsFile } from "../settings/layers.js";
import { valueText } from "../settings/print.js";
import type { Problem } from "../settings/problems.js";
import type { Recipe } from "../settings/recipe.js";
import { type Resolved, resolveSettings } from "../settings/resolve.js";
import { closest } from "../settings/suggest.js";

/** What every recipe's command takes besides the knobs of its schema. */
export interface OwnOptions {
  preset?: string;
  config?: string;
  set?: string[];
  resume?: boolean;
  printSettings?: boolean;
  json?: boolean;
  nproc?: string;
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

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}
