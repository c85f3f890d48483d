/** The work of stages, done by what the commands `mix`, `sft`, `dpo` and `eval` do it with. */
import { availableParallelism } from "node:os";
import type { MixOptions } from "../../data/mix/mix.js";
import { checkTasks } from "../../eval/check-tasks.js";
import type { EvalMetrics } from "../../eval/results-folder.js";
import { roleSettings, taskOptions } from "../../eval/task-options.js";
import type { Planned, PlannedEval, PlannedMix, PlannedTraining } from "../../experiments/plan.js";
import type { Doors } from "../../experiments/run-stages.js";
import { Progress } from "../../run/progress.js";
import { readRun } from "../../run/read-run.js";
import type { Recipe, RecipeContext } from "../../settings/recipe.js";
import type { EvalSettings } from "../eval/settings.js";

export interface DoorOptions {
  readonly recipes: Readonly<Record<"sft" | "dpo", Recipe>>;
  /** Folders of evaluation files. */
  readonly evalData: readonly string[];
  readonly download: boolean;
  /** Instead of the judges of the settings. */
  readonly judges?: readonly string[];
  /** Results of evaluations on one line each: of a miniature every benchmark has the same remarks. */
  readonly brief: boolean;
  readonly context: Pick<RecipeContext, "signal" | "output">;
}

export function commandDoors(options: DoorOptions): Doors {
  const { recipes, context } = options;
  return {
    mix: (planned) => mixture(planned, context),

    async train({ does, settings, folder }: PlannedTraining, resume) {
      if (resume && (await readRun(folder)).status === "completed") return "completed";
      const recipe = recipes[does];
      return recipe.run(settings, { ...context, recipe: does, origins: {}, resume });
    },

    async evaluate({ settings, tasks, model, folder }: PlannedEval) {
      const { runLive } = await import("../commands/eval.js");
      const { outcome, metrics } = await runLive(
        {
          ...(settings as EvalSettings),
          ...{ model, tasks: [...tasks], out: folder, download: options.download },
          data: [...options.evalData],
          ...(options.judges === undefined ? {} : { judges: [...options.judges] }),
        },
        {
          ...context,
          recipe: "eval",
          origins: {},
          resume: false,
          ...(options.brief ? { output: "silent" } : {}),
        },
      );
      if (options.brief && context.output !== "json") process.stdout.write(`${briefly(metrics, tasks)}\n`);
      return outcome;
    },
  };
}

/** Files and judges of all evaluations, before anything is trained. With `download` the files may still come. */
export async function checkEvaluations(
  stages: readonly Planned[],
  evalData: readonly string[],
  download: boolean,
) {
  const [first] = stages.filter((one) => one.does === "eval");
  if (first === undefined || download) return;
  const { profile, seed, shots, judges, options } = first.settings as EvalSettings;
  await checkTasks(
    first.tasks,
    {
      ...{ profile, seed, data: evalData, settings: taskOptions(options ?? [], []) },
      roles: roleSettings(judges ?? []),
      ...(shots === null ? {} : { shots }),
    },
    { key: "--judges" },
  );
}

function briefly({ tasks: results }: EvalMetrics, tasks: readonly string[]): string {
  const scores = tasks.map((name) => `${name} ${results[name]?.score?.toFixed(1) ?? "-"}`);
  return scores.join(", ");
}

async function mixture(
  { stage, sources: directory, tokenizer, settings, folder }: PlannedMix,
  { signal, output }: DoorOptions["context"],
): Promise<"completed" | "interrupted"> {
  const { mix } = await import("../../data/mix/mix.js");
  const { tulu1Mixture, tulu2Mixture } = await import("../../data/presets/tulu.js");
  const { allowMissing, onBad, threads } = settings as {
    allowMissing: boolean;
    onBad: MixOptions["onBad"];
    threads: number | null;
  };
  const locate = stage.preset === "tulu1" ? tulu1Mixture : tulu2Mixture;
  // Of some sources only, the others need not be there.
  const partial = stage.only !== undefined;
  const found = locate(directory, { allowMissing: allowMissing || partial, hasTokenizer: true });
  const sources = found.mixture.sources.filter(({ name }) => stage.only?.includes(name) ?? true);
  using progress = new Progress({ label: "mix", unit: "row", mode: output });
  let before = 0;
  let [current, rowsOfCurrent] = ["", 0];
  try {
    const { totals } = await mix(
      { ...found.mixture, sources },
      {
        ...{ out: folder, tokenizer, onBad, signal, allowFewer: allowMissing, parquet: false },
        threads: threads ?? Math.min(8, availableParallelism()),
        missing: found.missing.filter(({ source }) => stage.only?.includes(source) ?? true),
        onProgress({ source, rows }) {
          if (source !== current) before += rowsOfCurrent;
          [current, rowsOfCurrent] = [source, rows];
          progress.update(before + rows, { source });
        },
      },
    );
    progress.print(`${folder}: ${totals.written} rows of ${totals.read} read`);
    return "completed";
  } catch (error) {
    if (signal.aborted) return "interrupted";
    throw error;
  }
}
