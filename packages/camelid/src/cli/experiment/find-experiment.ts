/** Experiments by name: those of the build, or a file of one's own. */
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { SettingsError } from "../../errors.js";
import type { Experiment } from "../../experiments/experiment.js";
import type { Planned } from "../../experiments/plan.js";
import { closest } from "../../settings/suggest.js";

/** @throws {SettingsError} ERR_EXPERIMENT for a name that is none */
export async function findExperiment(name: string, folder: URL): Promise<Experiment> {
  const names = experimentNames(folder);
  if (names.includes(name)) {
    const url = ["js", "ts"]
      .map((ending) => new URL(`${name}.${ending}`, folder))
      .find((one) => existsSync(one))!;
    return checkExperiment(await import(url.href), fileURLToPath(url));
  }
  const path = resolve(name);
  if (/\.[mc]?[jt]s$/.test(name) && existsSync(path))
    return checkExperiment(await import(pathToFileURL(path).href), path);
  const meant = closest(name, names);
  throw new SettingsError("ERR_EXPERIMENT", `there is no experiment "${name}".`, {
    fix: `${meant === undefined ? "" : `did you mean "${meant}"? `}Experiments: ${names.join(", ")}; or the path of a file that exports one.`,
  });
}

/** @throws {SettingsError} ERR_EXPERIMENT when a module holds no experiment */
function checkExperiment(module: { experiment?: unknown }, path: string): Experiment {
  const found = module.experiment as Partial<Experiment> | undefined;
  if (
    typeof found === "object" &&
    found.stages !== undefined &&
    found.rows !== undefined &&
    found.columns !== undefined
  )
    return found as Experiment;
  throw new SettingsError("ERR_EXPERIMENT", "this file is not an experiment: it exports no `experiment`.", {
    where: path,
    fix: "start from one of recipes/experiments.",
  });
}

export function experimentNames(folder: URL): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[a-z-]+\.[jt]s$/.test(name))
    .map((name) => name.replace(/\.[jt]s$/, ""))
    .sort();
}

export const describe = ({ name, title, asks, published }: Experiment): string =>
  `${name.padEnd(12)} ${title} (${published.table})\n${" ".repeat(13)}${asks}`;

export function planLine(planned: Planned): string {
  const from =
    planned.does === "mix"
      ? planned.sources
      : planned.does === "eval"
        ? planned.tasks.join(",")
        : planned.data;
  const model = planned.does === "mix" ? "" : `${planned.model} on `;
  return `${planned.does.padEnd(5)} ${planned.name.padEnd(18)} ${model}${from}\n${" ".repeat(25)}-> ${planned.folder}`;
}
