import { join } from "node:path";
import type { Command } from "commander";
import { SettingsError } from "../../errors.js";
import { contaminationOf } from "../../eval/contamination.js";
import { downloadFiles } from "../../eval/download.js";
import { type EvalOutcome, type EvaluateOptions, evaluate } from "../../eval/evaluate.js";
import { loadTask, PAPER_SUITE } from "../../eval/registry.js";
import { replay } from "../../eval/replay.js";
import type { TaskSummary } from "../../eval/summary.js";
import { roleSettings, taskOptions } from "../../eval/task-options.js";
import { cacheDirectory } from "../../run/cache-directory.js";
import { modelFolder } from "../../run/hub-names.js";
import { Progress } from "../../run/progress.js";
import { lockRun } from "../../run/run-lock.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { estimateLines } from "../eval/estimate-lines.js";
import { openEvaluated } from "../eval/open-evaluated.js";
import { evalProgress } from "../eval/progress.js";
import { scoreLine } from "../eval/score-line.js";
import { type EvalSettings, evalSettings } from "../eval/settings.js";
import { recipeCommand } from "../recipe-command.js";

/** Not for copying as those of `recipes/` are; the Studio makes a form of it as of them. */
export const evalRecipe = { settings: evalSettings, presets: {}, check: checkSubject, run };

export function command(): Command {
  return recipeCommand("eval", evalRecipe).description(
    "Evaluates a model, an endpoint or stored answers: metrics.json, one predictions file a task with every item's prompt, output, extraction and verdict, and report.html. Called again with the same --out it goes on where it was.",
  );
}

async function run(settings: EvalSettings, context: RecipeContext): Promise<RunOutcome> {
  checkSubject(settings);
  const { outcome, metrics } = await (settings.replay === null
    ? runLive(settings, context)
    : runReplay(settings, settings.replay, context));
  if (context.output === "json") process.stdout.write(`${JSON.stringify({ event: "eval", metrics })}\n`);
  else if (context.output !== "silent") {
    for (const line of settings.dryRun ? estimateLines(metrics) : []) say(line);
    say(ending(outcome, settings));
  }
  return outcome;
}

function ending(outcome: RunOutcome, { out, dryRun }: EvalSettings): string {
  if (outcome === "interrupted")
    return "Interrupted. Answers so far are kept; the same command goes on with them.";
  return dryRun ? "Nobody was asked." : `\n${join(out, "report.html")}`;
}

async function runReplay(
  settings: EvalSettings,
  source: string,
  context: RecipeContext,
): Promise<EvalOutcome> {
  return replay({
    replay: source,
    ...common(settings, context),
    ...(settings.tasks === null ? {} : { tasks: await tasksOf(settings) }),
    onTask: (summary) => tell(summary, context),
  });
}

/** A model or endpoint on tasks, as this command does it; experiments come here too. */
export async function runLive(settings: EvalSettings, context: RecipeContext): Promise<EvalOutcome> {
  const tasks = await tasksOf(settings);
  if (settings.download) await download(tasks, settings, context);
  await using opened = await openEvaluated(settings);
  const contamination = settings.model === null ? undefined : contaminationOf(modelFolder(settings.model));
  const progress = evalProgress(context.output);
  try {
    return await locked(settings.out, () =>
      evaluate({
        ...common(settings, context),
        tasks,
        model: opened.model,
        dryRun: settings.dryRun,
        roles: roleSettings(settings.judges ?? []),
        ...(settings.limit === null ? {} : { limit: settings.limit }),
        ...(contamination === undefined ? {} : { contamination }),
        onProgress: progress.update,
        onTask(summary) {
          progress.end();
          if (settings.dryRun) say(`${summary.items} prompts: ${join(settings.out, summary.predictions)}`);
          else tell(summary, context);
        },
      }),
    );
  } finally {
    progress.end();
  }
}

function common(
  settings: EvalSettings,
  { signal }: RecipeContext,
): Omit<EvaluateOptions, "tasks" | "model" | "roles"> {
  const { out, profile, seed, shots, strictData, concurrency } = settings;
  return {
    out,
    profile,
    seed,
    data: [...(settings.data ?? []), downloads()],
    settings: taskOptions(settings.options ?? [], settings.text ?? []),
    strictData,
    concurrency,
    signal,
    ...(shots === null ? {} : { shots }),
  };
}

async function tasksOf({ tasks }: EvalSettings): Promise<string[]> {
  const names = (tasks ?? []).flatMap((name) => (name === "all" ? PAPER_SUITE : [name]));
  return Promise.all(names.map(async (name) => (await loadTask(name)).name));
}

/** @throws {SettingsError} ERR_EVAL_SUBJECT, ERR_MISSING_VALUE */
function checkSubject({ model, endpoint, replay: source, tasks }: EvalSettings): void {
  const named = [model, endpoint, source].filter((value) => value !== null).length;
  if (named !== 1) {
    throw new SettingsError(
      "ERR_EVAL_SUBJECT",
      `${named === 0 ? "nothing" : "more than one thing"} to evaluate.`,
      {
        where: "--model, --endpoint, --replay",
        fix: "name one of them.",
      },
    );
  }
  if (source === null && tasks === null) {
    throw new SettingsError("ERR_MISSING_VALUE", "no task is named.", {
      where: "--tasks",
      fix: "name some, such as --tasks mmlu,gsm8k, or all.",
    });
  }
}

async function download(
  tasks: readonly string[],
  settings: EvalSettings,
  context: RecipeContext,
): Promise<void> {
  const files = (await Promise.all(tasks.map(loadTask))).flatMap((task) => task.files);
  using progress = new Progress({ label: "download", unit: "file", mode: context.output });
  await downloadFiles(files, {
    into: downloads(),
    have: settings.data ?? [],
    signal: context.signal,
    onFile: (path, done) => progress.update(done, { file: path }),
  });
}

const downloads = () => join(cacheDirectory(), "benchmarks");

/** Two evaluations into one folder would write the same files. */
async function locked<T>(out: string, work: () => Promise<T>): Promise<T> {
  const { mkdirSync } = await import("node:fs");
  mkdirSync(out, { recursive: true });
  const release = lockRun(out);
  try {
    return await work();
  } finally {
    release();
  }
}

function tell(summary: TaskSummary, { output }: RecipeContext): void {
  if (output === "json") process.stdout.write(`${JSON.stringify({ event: "eval-task", ...summary })}\n`);
  else if (output !== "silent") say(scoreLine(summary));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
