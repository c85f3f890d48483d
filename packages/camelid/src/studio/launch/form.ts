/** A recipe's schema as a form: the same knobs, groups, help and defaults as on the command line. */

import { leaves } from "../../settings/diff.js";
import { byGroup } from "../../settings/docs-table.js";
import { type Knob, type KnobSchema, settingsShape } from "../../settings/knob.js";
import { valueText } from "../../settings/print.js";
import type { Recipe } from "../../settings/recipe.js";
import type { FormKnob, RecipeForm } from "../api.js";

/** @param plannable whether `camelid plan` knows the recipe */
export function recipeForm(name: string, recipe: Recipe, plannable: boolean): RecipeForm {
  const shape = settingsShape(recipe.settings);
  const groups = [...byGroup(shape)].map(([group, knobs]) => ({
    name: group,
    knobs: knobs.map((knob) => formKnob(knob, shape.objects)),
  }));
  const presets = Object.entries(recipe.presets).map(([preset, make]) => ({
    name: preset,
    values: Object.fromEntries([...leaves(make())].map(([key, value]) => [key, valueText(value)])),
  }));
  return { name, resumable: recipe.resumable ?? false, plannable, presets, groups };
}

function formKnob(
  { path, flag, help, accepts, required, default: value, schema }: Knob,
  objects: ReadonlyMap<string, KnobSchema>,
): FormKnob {
  const main = (schema.anyOf ?? schema.oneOf ?? []).find(({ type }) => type !== "null") ?? schema;
  const optional = main !== schema;
  const choices = (main.enum ?? []).map(String);
  const type =
    main.type === "integer" || main.type === "number"
      ? "number"
      : main.type === "boolean"
        ? "boolean"
        : "text";
  const group = path.includes(".") ? path.slice(0, path.lastIndexOf(".")) : null;
  return {
    ...{ key: path, flag, help, accepts, required },
    default: value === undefined ? null : valueText(value),
    input: choices.length > 0 ? "choice" : type,
    choices: optional && choices.length > 0 ? [...choices, "none"] : choices,
    group: group !== null && objects.has(group) ? group : null,
  };
}
