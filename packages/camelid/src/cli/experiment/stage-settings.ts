/** What a stage is set to: the preset of its size, what the experiment changes, and `--set` by stage. */
import { z } from "zod";
import { SettingsError } from "../../errors.js";
import type { Row, Stage } from "../../experiments/experiment.js";
import { settingsShape } from "../../settings/knob.js";
import { everyKey } from "../../settings/knobs.js";
import type { Layer } from "../../settings/layers.js";
import type { Recipe } from "../../settings/recipe.js";
import { resolveSettings } from "../../settings/resolve.js";
import { closest } from "../../settings/suggest.js";
import { evalSettings } from "../eval/settings.js";

/** What mixtures are told besides their preset. */
export const mixSettings = z.strictObject({
  allowMissing: z
    .boolean()
    .default(false)
    .describe("Go on without sources, or with fewer rows than a quota."),
  onBad: z.enum(["stop", "skip"]).default("stop").describe("Rows that cannot be read or converted."),
  threads: z.int().positive().nullable().default(null).describe("Threads that convert rows."),
});

/** Sizes of the miniature; `--set miniature.rows=600`. */
export const miniatureSettings = z.strictObject({
  seed: z.int().min(0).default(0).describe("Another seed is another valley."),
  documents: z.int().positive().default(9_000).describe("Texts that the base reads."),
  rows: z.int().positive().default(2_400).describe("Conversations."),
  pairs: z.int().positive().default(600).describe("Preferences."),
  items: z.int().positive().default(48).describe("Questions of each benchmark, about."),
});

export type Part = "mix" | "sft" | "dpo" | "eval" | "miniature";

/** The settings of a stage without the sizes and paths that only the command knows. */
export interface StageSettings {
  /** @param values of weaker strength than `--set`: the scale's */
  of(part: Part, layers: readonly Layer[]): Record<string, unknown>;
}

const PLACES = { model: "-", data: "-", out: "-" };

/**
 * @param entries `--set` as typed: `sft.epochs=1`; without a part a key goes to every part that knows it
 * @throws {SettingsError} ERR_UNKNOWN_KEY
 */
export function stageSettings(
  recipes: Readonly<Record<"sft" | "dpo", Recipe>>,
  entries: readonly string[],
): StageSettings {
  const schemas: Readonly<Record<Part, z.ZodObject>> = {
    mix: mixSettings,
    sft: recipes.sft.settings,
    dpo: recipes.dpo.settings,
    eval: evalSettings,
    miniature: miniatureSettings,
  };
  const parts = Object.keys(schemas) as Part[];
  const byPart = new Map<Part, string[]>(parts.map((part) => [part, []]));
  for (const entry of entries) {
    const [, part, rest] = /^(\w+)\.(.*)$/s.exec(entry) ?? [];
    if (part !== undefined && rest !== undefined && byPart.has(part as Part)) {
      byPart.get(part as Part)!.push(rest);
      continue;
    }
    const key = entry.split("=")[0]!;
    const knowing = parts.filter((one) => {
      const shape = settingsShape(schemas[one]);
      return shape.knobs.has(key) || shape.objects.has(key);
    });
    if (knowing.length === 0) throw unknown(key, parts, schemas);
    for (const one of knowing) byPart.get(one)!.push(entry);
  }
  return {
    of(part, layers) {
      const places = part === "sft" || part === "dpo" ? PLACES : part === "eval" ? { out: "-" } : {};
      const { settings } = resolveSettings(
        schemas[part],
        [
          { source: "checkpoint", path: "places", values: places },
          ...layers,
          { source: "set", entries: byPart.get(part)! },
        ],
        { command: `experiment, ${part}`, everyKey },
      );
      return settings as Record<string, unknown>;
    },
  };
}

function unknown(
  key: string,
  parts: readonly Part[],
  schemas: Readonly<Record<Part, z.ZodObject>>,
): SettingsError {
  const all = parts.flatMap((part) =>
    [...settingsShape(schemas[part]).knobs.keys()].map((one) => `${part}.${one}`),
  );
  const meant = closest(key, all);
  return new SettingsError("ERR_UNKNOWN_KEY", `no stage knows "${key}".`, {
    where: "--set",
    fix: `${meant === undefined ? "" : `did you mean ${meant}? `}Write a part and one of its keys, such as sft.epochs=1; parts: ${parts.join(", ")}.`,
  });
}

/** The preset of a training stage at a size: `tulu2` is `tulu2-7b` at 7b. */
export function presetLayer(recipe: Recipe, stage: Stage | Row, size: string): Layer[] {
  if (!("does" in stage) || stage.does === "mix") return [];
  const name = `${stage.preset}-${size}`;
  const make = Object.hasOwn(recipe.presets, name) ? recipe.presets[name] : undefined;
  if (make !== undefined) return [{ source: "preset", name, values: make() }, ...changes(stage)];
  const sizes = Object.keys(recipe.presets)
    .filter((one) => one.startsWith(`${stage.preset}-`))
    .map((one) => one.slice(stage.preset.length + 1));
  throw new SettingsError("ERR_UNKNOWN_PRESET", `there is no preset ${name}.`, {
    where: "--size",
    fix: `sizes of ${stage.preset}: ${sizes.join(", ")}; change what you like with --set.`,
  });
}

/** What the experiment itself changes beats the preset, and `--set` beats it. */
export function changes(stage: Exclude<Stage, { does: "mix" }>): Layer[] {
  return stage.settings === undefined
    ? []
    : [{ source: "file", path: "the experiment", values: stage.settings }];
}
