/** `evalTasks` of a recipe: benchmarks on the model in memory while it trains, as `eval-end` events beside the loss. */
import type { Tensor } from "@camelid/torch";
import { CamelidError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { heldOneByOne, weightsHash } from "../model/weights-hash.js";
import { readRun } from "../run/read-run.js";
import type { Run } from "../run/run.js";
import type { RecipeContext } from "../settings/recipe.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { promptRenderer, tokenTools } from "./backends/render.js";
import { checkTasks } from "./check-tasks.js";
import { evaluateInTraining, type TrainingEval, type TrainingEvalOptions } from "./in-training.js";
import { PAPER_SUITE } from "./registry.js";
import { roleSettings, taskOptions } from "./task-options.js";

/** The knobs of `evalTaskKnobs`, and what of a recipe's others matters here. */
export interface WatchTaskSettings {
  evalTasks: readonly string[] | null;
  evalTasksEverySteps: number | null;
  evalTasksData: readonly string[] | null;
  evalTasksLimit: number | null;
  evalTasksShots: number | null;
  evalTasksProfile: "standard" | "tulu2-paper";
  evalTasksOptions: readonly string[] | null;
  evalTasksJudges: readonly string[] | null;
  /** Base of the weights, when only adapters are trained. */
  model: string;
}

/** Where a run is when somebody may look at the model. */
export interface Moment {
  run: Run;
  /** Updates done. */
  step: number;
  totalSteps: number;
  /** Where results are told to people. */
  progress: { print(text: string): void };
}

export interface WatchedTasks {
  /**
   * Evaluates when it is time to, and logs. Of several ranks the main one does it, the others wait. What goes wrong here (a
   * judge that is not there) becomes a warning of the run: training does not end for it.
   */
  observe(moment: Moment): Promise<void>;
  /** After a resume: evaluates what an interruption cut off at this step. */
  finish(moment: Moment): Promise<void>;
  /** Whether an evaluation was stopped in the middle. The run is then not complete: a resume goes on with it. */
  readonly cut: boolean;
}

const NOTHING: WatchedTasks = { observe: async () => {}, finish: async () => {}, cut: false };

/**
 * Looks at names, files and roles before the first step; a replay evaluates nothing.
 * @param parameters what is trained; answers are kept under their hash
 * @throws {SettingsError} ERR_EVAL_TASK, ERR_EVAL_OPTION, ERR_EVAL_JUDGE; {DataError} of missing or damaged files
 */
export async function watchTasks(
  settings: WatchTaskSettings,
  model: LanguageModel,
  tokenizer: Tokenizer,
  parameters: ReadonlyMap<string, Tensor>,
  context: Pick<RecipeContext, "signal" | "replay" | "world">,
): Promise<WatchedTasks> {
  if (settings.evalTasks === null || context.replay !== undefined) return NOTHING;
  const options = optionsOf(settings, settings.evalTasks, context);
  const renderer = promptRenderer(tokenizer, settings.evalTasksProfile);
  const tokens = tokenTools(tokenizer, renderer, model.config.maxPositionEmbeddings);
  options.tasks = await checkTasks(options.tasks, options, { tokens, key: "evalTasksJudges" });
  const { isMain = true } = context.world ?? {};
  const anyRank = (here: boolean): boolean => context.world?.any(here) ?? here;
  let cut = false;

  async function evaluate({ run, step, progress }: Moment, logged: ReadonlySet<string>): Promise<void> {
    let stopped = false;
    if (isMain) {
      try {
        const identity = `${settings.model} ${weightsHash(heldOneByOne(parameters))}`;
        const at = { run: run.path, step, identity };
        const results = await evaluateInTraining(model, tokenizer, { ...options, ...at });
        for (const result of results.filter(({ name }) => !logged.has(name))) {
          run.log({ event: "eval-end", step, ...result });
          progress.print(lineOf(step, result));
        }
        stopped = results.length < options.tasks.length;
      } catch (error) {
        const message = `the evaluation at step ${step} failed: ${describe(error)}`;
        run.log({ event: "warning-raised", step, code: "EVAL_TASKS_FAILED", message });
        progress.print(`warning: ${message}`);
      }
    }
    cut = anyRank(stopped);
  }

  const isTime = ({ step, totalSteps }: Moment): boolean => {
    const every = settings.evalTasksEverySteps;
    return step === totalSteps || (every !== null && step % every === 0);
  };
  return {
    async observe(moment) {
      if (isTime(moment)) await evaluate(moment, new Set());
    },
    async finish(moment) {
      if (!isTime(moment)) return;
      const logged = new Set(isMain ? await loggedAt(moment) : []);
      const missing = isMain && options.tasks.some((name) => !logged.has(name));
      if (anyRank(missing)) await evaluate(moment, logged);
    },
    get cut() {
      return cut;
    },
  };
}

type Options = Omit<TrainingEvalOptions, "run" | "step"> & { tasks: string[] };

function optionsOf(
  settings: WatchTaskSettings,
  names: readonly string[],
  { signal }: { signal: AbortSignal },
): Options {
  const { evalTasksLimit: limit, evalTasksShots: shots } = settings;
  return {
    tasks: names.flatMap((name) => (name === "all" ? PAPER_SUITE : [name])),
    data: settings.evalTasksData ?? [],
    profile: settings.evalTasksProfile,
    settings: taskOptions(settings.evalTasksOptions ?? [], []),
    roles: roleSettings(settings.evalTasksJudges ?? []),
    signal,
    ...(limit === null ? {} : { limit }),
    ...(shots === null ? {} : { shots }),
  };
}

/** Tasks that the run's record has for a step. */
async function loggedAt({ run, step }: Moment): Promise<string[]> {
  const { evals } = await readRun(run.path);
  return evals.filter((one) => one.step === step).map(({ name }) => name);
}

function lineOf(step: number, { name, metrics: { score, low, high, items } }: TrainingEval): string {
  if (score === undefined) return `${name} at step ${step}: no item has a verdict`;
  const interval = low === undefined || high === undefined ? "" : ` [${low.toFixed(1)}, ${high.toFixed(1)}]`;
  return `${name} at step ${step}: ${score.toFixed(2)}${interval} on ${items} items`;
}

function describe(error: unknown): string {
  if (error instanceof CamelidError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
