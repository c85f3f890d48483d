/** A recipe run in this process, as tests of whole runs look at it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type RecipeContext, type RunOutcome, readRun } from "camelid";

export interface RunOptions {
  out?: string;
  resume?: boolean;
  /** Stops the run when this path exists in its folder, as Ctrl+C would. */
  stopAt?: string;
}

export function contextOf(
  recipe: string,
  out: string,
  { resume = false, stopAt }: RunOptions,
): RecipeContext {
  const signal = {
    get aborted() {
      return stopAt !== undefined && existsSync(join(out, stopAt));
    },
  } as AbortSignal;
  return { recipe, origins: {}, output: "silent", resume, signal };
}

/** @returns what the run left, and of each step every number that time has no part in */
export async function runRecipe<Settings extends { out: string }>(
  name: string,
  recipe: { run(settings: Settings, context: RecipeContext): Promise<RunOutcome> },
  settings: Settings,
  options: RunOptions,
) {
  const { out } = settings;
  await recipe.run(settings, contextOf(name, out, options));
  const record = await readRun(out);
  const numbers = record.steps.map(({ loss, grad_norm, metrics = {} }): Record<string, number> => {
    const timeless = Object.entries(metrics).filter(([metric]) => !metric.endsWith("_per_second"));
    return { loss, grad_norm, ...Object.fromEntries(timeless) };
  });
  return { out, record, numbers };
}
