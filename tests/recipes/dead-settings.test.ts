/** A setting that nothing reads is a promise not kept: every key has to be named by code outside the settings themselves. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { settingsShape } from "../../packages/camelid/src/settings/knob.js";
import * as dpo from "../../recipes/dpo.js";
import * as kto from "../../recipes/kto.js";
import * as reward from "../../recipes/reward.js";
import * as sft from "../../recipes/sft.js";

const root = join(import.meta.dirname, "../..");
const source = join(root, "packages/camelid/src");

/** Code without comments and strings' help texts; tests, settings and presets left out. */
function codeThatCouldRead(recipe: string): string {
  const files = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !/\.test\.ts$|^settings\/|^index\.ts$|^studio\//.test(name))
    .map((name) => readFileSync(join(source, name), "utf8"));
  const own = readFileSync(join(root, "recipes", `${recipe}.ts`), "utf8").replace(
    /export const settings = z\.strictObject\(\{[\s\S]*?\n\}\);/,
    "",
  );
  return [...files, own].join("\n").replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
}

describe.each([
  ["sft", sft],
  ["dpo", dpo],
  ["kto", kto],
  ["reward", reward],
] as const)("%s", (name, recipe) => {
  const code = codeThatCouldRead(name);
  const isRead = (key: string): boolean =>
    new RegExp(`(\\.|\\{ |, |^\\s*)${key}\\b(?!:\\s*knobs)`, "m").test(code);

  test("every key is named where something can read it", () => {
    const keys = [...settingsShape(recipe.settings).knobs.keys()].map((path) => path.split(".").at(-1)!);
    expect(keys.length).toBeGreaterThan(30);
    expect(keys.filter((key) => !isRead(key))).toEqual([]);
  });

  test("a key that nothing reads would be found", () => {
    expect(isRead("keyThatNobodyReads")).toBe(false);
  });
});
