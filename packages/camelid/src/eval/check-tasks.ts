/** Looks at tasks before hours of training: are they there, are their files whole, is somebody named to judge? */
import { join } from "node:path";
import { SettingsError } from "../errors.js";
import { cacheDirectory } from "../run/cache-directory.js";
import { contextOf, type EvaluateOptions } from "./evaluate.js";
import { loadTask } from "./registry.js";
import type { TokenTools } from "./task.js";

/**
 * Loads every task's items as an evaluation would.
 * @param key the setting that names judges, for the message
 * @returns the tasks' own names: an alias stands for one
 * @throws {SettingsError} ERR_EVAL_TASK, ERR_EVAL_OPTION, ERR_EVAL_JUDGE; {DataError} of missing or damaged files
 */
export async function checkTasks(
  names: readonly string[],
  options: Pick<EvaluateOptions, "profile" | "data" | "seed" | "shots" | "settings" | "roles">,
  { tokens, key }: { tokens?: TokenTools; key: string },
): Promise<string[]> {
  const data = [...(options.data ?? []), join(cacheDirectory(), "benchmarks")];
  const own: string[] = [];
  for (const name of names) {
    const task = await loadTask(name);
    own.push(task.name);
    for (const role of Object.keys(task.roles ?? {})) {
      if (options.roles?.[role] !== undefined) continue;
      throw new SettingsError("ERR_EVAL_JUDGE", `${task.title} needs somebody for the role "${role}".`, {
        where: key,
        fix: `name one, such as ${role}=URL#model or ${role}=folder, or do without ${task.name}.`,
      });
    }
    await task.load({ ...contextOf(task, { ...options, data }, []), tokens });
  }
  return own;
}
