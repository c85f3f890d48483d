/** What a user gives an experiment: models, sources, files; each with a key by which a changed one is noticed. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { SettingsError } from "../../errors.js";
import { type Given, shortHash } from "../../experiments/plan.js";

/** @throws {SettingsError} ERR_EXPERIMENT_INPUT when there is nothing at `path` */
export function givenAt(flag: string, path: string): Given {
  if (!existsSync(path)) {
    throw new SettingsError("ERR_EXPERIMENT_INPUT", "there is no such file or folder.", {
      where: `${flag} ${path}`,
      fix: "give one that is there.",
    });
  }
  return { path, key: shortHash(stateOf(resolve(path)).join("\n")) };
}

/** Names, sizes and times: another file of the same name is another input. */
function stateOf(path: string): string[] {
  const state = statSync(path);
  if (!state.isDirectory()) return [`${path} ${state.size} ${state.mtimeMs}`];
  return readdirSync(path)
    .filter((name) => !name.startsWith("."))
    .sort()
    .flatMap((name) => stateOf(join(path, name)));
}

/** `v2=out/mix/train.jsonl`, comma-separated or repeated. @throws {SettingsError} ERR_EXPERIMENT_INPUT */
export function namedFiles(words: readonly string[]): Record<string, Given> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, path] = /^([\w-]+)=(.+)$/s.exec(word) ?? [];
      if (name !== undefined && path !== undefined) return [name, givenAt("--data", path)];
      throw new SettingsError("ERR_EXPERIMENT_INPUT", `"${word}" does not say which mixture a file is.`, {
        where: "--data",
        fix: "write name=FILE with the name of a mixture of the experiment, such as v2=out/mix/train.jsonl.",
      });
    }),
  );
}
