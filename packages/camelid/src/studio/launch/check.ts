/** Settings of a form, checked as the command line checks its flags; and the command that would do the same. */
import { SettingsError } from "../../errors.js";
import { readRunSettings } from "../../run/run-directory.js";
import { leaves } from "../../settings/diff.js";
import type { Layer } from "../../settings/layers.js";
import { originText } from "../../settings/origin.js";
import { valueText } from "../../settings/print.js";
import { WrongSettings } from "../../settings/problems.js";
import type { Recipe } from "../../settings/recipe.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { LaunchCheck, LaunchRequest } from "../api.js";

/** @param resumed folder of the run to go on with */
export function checkLaunch(
  request: LaunchRequest,
  recipe: Recipe,
  resumed: string | undefined,
): LaunchCheck {
  const command = shellLine(commandWords(request, resumed));
  try {
    const { settings, origins } = resolveSettings(recipe.settings, layersOf(request, recipe, resumed), {
      command: request.recipe,
    });
    recipe.check?.(settings);
    const effective = [...leaves(settings)].map(([key, value]) => ({
      key,
      value: valueText(value),
      origin: originText(origins[key] ?? { source: "default" }),
    }));
    return { problems: [], effective, command };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    if (!(error instanceof WrongSettings)) return { problems: [together(error)], effective: [], command };
    const problems = error.problems.map(({ code, key, text, fix }) => ({
      key: key ?? null,
      text,
      fix: fix ?? null,
      missing: code === "ERR_MISSING_VALUE",
    }));
    return { problems, effective: [], command };
  }
}

/** Of several settings: it stands at no field. */
function together({ message, where, fix }: SettingsError): LaunchCheck["problems"][number] {
  const text = message.replace(/\.$/, "");
  return {
    key: null,
    text: where === undefined ? text : `${text} (${where})`,
    fix: fix ?? null,
    missing: false,
  };
}

/** Everything after `camelid`. Values go through `--set`: one form for all, and their origin is recorded. */
export function commandWords(
  { recipe, preset, values }: LaunchRequest,
  resumed: string | undefined,
): string[] {
  const set = Object.entries(values).flatMap(([key, value]) =>
    key === "out" ? ["--out", value] : ["--set", `${key}=${value}`],
  );
  if (resumed !== undefined) return [recipe, "--resume", "--out", resumed, ...set];
  return [recipe, ...(preset === null ? [] : ["--preset", preset]), ...set];
}

function layersOf({ preset, values }: LaunchRequest, recipe: Recipe, resumed: string | undefined): Layer[] {
  const { out, ...set } = values;
  const layers: Layer[] = [
    { source: "set", entries: Object.entries(set).map(([key, value]) => `${key}=${value}`) },
  ];
  const folder = resumed ?? out;
  if (folder !== undefined) layers.push({ source: "flag", values: new Map([["out", folder]]) });
  const make = preset !== null && Object.hasOwn(recipe.presets, preset) ? recipe.presets[preset] : undefined;
  if (make !== undefined) layers.push({ source: "preset", name: preset!, values: make() });
  if (resumed !== undefined)
    layers.push({ source: "checkpoint", path: resumed, values: readRunSettings(resumed).settings });
  return layers;
}

/** `camelid` and these words, as a shell takes them. */
export function shellLine(words: readonly string[]): string {
  return ["camelid", ...words].map(shellWord).join(" ");
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
