/** The command line for tests: in this process where its behaviour is the point, and the built program where the process is. */
import { readFileSync } from "node:fs";
import * as torch from "@camelid/torch";
import { expect } from "vitest";
import { command as doctor } from "../../packages/camelid/src/cli/commands/doctor.js";
import { command as experiment } from "../../packages/camelid/src/cli/commands/experiment.js";
import { command as plan } from "../../packages/camelid/src/cli/commands/plan.js";
import { type Verb, verbs } from "../../packages/camelid/src/cli/commands.js";
import { recipeCommand } from "../../packages/camelid/src/cli/recipe-command.js";
import { runCli } from "../../packages/camelid/src/cli/run-cli.js";
import type { Recipe } from "../../packages/camelid/src/settings/recipe.js";
import * as dpoRecipe from "../../recipes/dpo.js";
import * as ktoRecipe from "../../recipes/kto.js";
import * as rewardRecipe from "../../recipes/reward.js";
import * as sftRecipe from "../../recipes/sft.js";
import type { Outcome } from "./built-camelid.js";

export { builtCamelid, builtProgram, type Outcome } from "./built-camelid.js";

const recipes: Record<string, Recipe> = {
  sft: sftRecipe,
  dpo: dpoRecipe,
  kto: ktoRecipe,
  reward: rewardRecipe,
};
const recipeOf = async (name: string): Promise<Recipe> => recipes[name]!;
const folder = new URL("../../recipes/experiments/", import.meta.url);

/** Verbs of the build, but for what reads recipes: they are taken from the sources like everything else in this process. */
const fromSources: Record<string, () => ReturnType<typeof recipeCommand>> = {
  ...Object.fromEntries(
    Object.entries(recipes).map(([name, recipe]) => [name, () => recipeCommand(name, recipe)]),
  ),
  doctor: () => doctor(() => recipeOf("sft")),
  plan: () => plan(recipeOf),
  experiment: () => experiment({ recipe: recipeOf, folder }),
};
const sources: readonly Verb[] = verbs.map((verb) => {
  const command = fromSources[verb.name];
  return command === undefined ? verb : { ...verb, load: async () => ({ command }) };
});

/** Runs `camelid ...` from the sources in this process, on one thread. */
export async function camelid(...words: string[]): Promise<Outcome> {
  const text = { out: "", err: "" };
  const { stdout, stderr } = process;
  const [writeOut, writeErr] = [stdout.write, stderr.write];
  const take = (stream: "out" | "err") => (chunk: string | Uint8Array) => {
    text[stream] += String(chunk);
    return true;
  };
  stdout.write = take("out");
  stderr.write = take("err");
  try {
    torch.setNumThreads(1);
    const code = await runCli(words, { out: take("out"), err: take("err") }, sources);
    return { code, ...text };
  } finally {
    stdout.write = writeOut;
    stderr.write = writeErr;
    process.exitCode = undefined;
  }
}

export function readJsonLines<T>(path: string): T[] {
  return parseJsonLines(readFileSync(path, "utf8"));
}

/** Fails on anything that is not one JSON value a line, each line ended. */
export function parseJsonLines<T>(text: string): T[] {
  const lines = text.split("\n");
  expect(lines.pop(), "the last line is ended").toBe("");
  return lines.map((line) => JSON.parse(line) as T);
}

/** One error in the form of all errors: family and code, where, fix; no stack, nothing else. */
export function expectOneClearError(
  { code, err }: Outcome,
  expected: { exit?: 1 | 2; code: string; says: RegExp; where?: RegExp },
): void {
  expect(err).toMatch(new RegExp(`^(\\w+Error) \\[${expected.code}\\]: \\S`));
  expect(err.match(/Error \[ERR_/g), "one error").toHaveLength(1);
  expect(err, "no stack trace").not.toMatch(/^\s+at .+:\d+/m);
  expect(err, "what").toMatch(expected.says);
  if (expected.where !== undefined)
    expect(err, "where").toMatch(new RegExp(`^ {2}where: .*${expected.where.source}`, "m"));
  expect(err, "how to fix it").toMatch(/^ {2}fix: {3}\S/m);
  expect(code, "exit code").toBe(expected.exit ?? 2);
}
