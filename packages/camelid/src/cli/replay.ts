/**
 * Recomputes one step of a run: the recipe itself runs again, from the newest checkpoint before the step, through a `Run` that
 * writes nothing; what it logs is held against `events.jsonl`.
 */
import { CheckpointError } from "../errors.js";
import type { NewEvent, RunEvent, StepEnd } from "../run/events.js";
import { type RunRecord, readRun } from "../run/read-run.js";
import type { Recipe } from "../settings/recipe.js";
import { fetchNamedModels } from "./fetch-models.js";

export interface ReplayOptions {
  step: number;
  recipe: Recipe;
  /** Stop early, between two steps. */
  signal?: AbortSignal;
  /** Called after every recomputed step. */
  onStep?: (step: number) => void;
}

export interface ReplayResult {
  /** Step of the checkpoint that the recomputation began at; 0 is the base model. */
  from: number;
  /** Every number of the wanted step, as recorded and as recomputed. */
  numbers: { name: string; recorded: number; recomputed: number }[];
  /** The first step between `from` and the wanted one whose numbers differ in any bit. */
  firstDifference: number | undefined;
  /** What is known to be different from when the step was computed. */
  warnings: string[];
}

/**
 * @throws {CheckpointError} `ERR_STEP_NOT_RECORDED` when the run has no such step, `ERR_REPLAY_STOPPED` when it was stopped
 *   before the step was reached; and what resuming throws
 */
export async function replayStep(folder: string, options: ReplayOptions): Promise<ReplayResult> {
  const { step, recipe, onStep } = options;
  const record = await readRun(folder);
  const recorded = new Map(record.steps.map((event) => [event.step, event]));
  if (!recorded.has(step)) throw notRecorded(record, step);

  const stop = new AbortController();
  options.signal?.addEventListener("abort", () => stop.abort());
  const recomputed: Omit<StepEnd, "time">[] = [];
  const warnings: string[] = [];
  const onEvent = (event: NewEvent): void => {
    if (event.event === "warning-raised") warnings.push(event.message);
    if (event.event !== "step-end") return;
    recomputed.push(event);
    onStep?.(event.step);
    if (event.step === step) stop.abort();
  };
  const settings = await fetchNamedModels(settingsOf(record, recipe, step), { mode: "lines" });
  await recipe.run(settings, {
    ...{ recipe: record.provenance.recipe, origins: {}, output: "silent", resume: true },
    ...{ signal: stop.signal, replay: { step, onEvent } },
  });

  const last = recomputed.at(-1);
  if (last?.step !== step) {
    throw new CheckpointError(
      "ERR_REPLAY_STOPPED",
      `the replay was stopped before it reached step ${step}.`,
      {
        where: folder,
        fix: "run it again.",
      },
    );
  }
  const differs = recomputed.find((event) => !numbersOf(event, recorded.get(event.step)).every(isEqual));
  return {
    from: recomputed[0]!.step - 1,
    numbers: numbersOf(last, recorded.get(step)),
    firstDifference: differs?.step,
    warnings,
  };
}

/** Equal to the last bit; NaN equals NaN. */
export function isEqual({ recorded, recomputed }: { recorded: number; recomputed: number }): boolean {
  return Object.is(recorded, recomputed);
}

function numbersOf(
  recomputed: Omit<StepEnd, "time">,
  recorded: StepEnd | undefined,
): ReplayResult["numbers"] {
  const pairs: [string, number | undefined, number][] = [
    ["loss", recorded?.loss, recomputed.loss],
    ["grad_norm", recorded?.grad_norm, recomputed.grad_norm],
    ["lr", recorded?.lr, recomputed.lr],
    ["trained_tokens", recorded?.trained_tokens, recomputed.trained_tokens],
    ...Object.entries(recomputed.sources ?? {}).map(
      ([name, source]): [string, number | undefined, number] => [
        `loss of ${name}`,
        recorded?.sources?.[name]?.loss,
        source.loss,
      ],
    ),
  ];
  return pairs.map(([name, before = Number.NaN, now]) => ({ name, recorded: before, recomputed: now }));
}

/** The run's own settings, with the threads that the step was computed on, and without what a replay has no use for. */
function settingsOf(record: RunRecord, recipe: Recipe, step: number): Record<string, unknown> {
  const known = recipe.settings.shape;
  const overrides = {
    out: record.path,
    threads: environmentOf(record.events, step)?.threads,
    ...{ saveEverySteps: null, evalEverySteps: null, sampleEverySteps: null, profile: false },
  };
  const usable = Object.entries(overrides).filter(([key, value]) => key in known && value !== undefined);
  return recipe.settings.parse({ ...record.settings, ...Object.fromEntries(usable) });
}

/** Of the process that computed the step last. */
function environmentOf(events: readonly RunEvent[], step: number) {
  const at = events.findLastIndex((event) => event.event === "step-end" && event.step === step);
  const start = events.slice(0, at).findLast((event) => event.event === "run-start");
  return start?.event === "run-start" ? start.environment : undefined;
}

function notRecorded({ path, steps }: RunRecord, step: number): CheckpointError {
  const there = steps.length === 0 ? "no steps" : `steps ${steps[0]!.step} to ${steps.at(-1)!.step}`;
  return new CheckpointError("ERR_STEP_NOT_RECORDED", `the run has ${there}, not ${step}.`, {
    where: path,
    fix: "choose one of its steps.",
  });
}
