/**
 * What lies around the steps of every training run, whatever it minimises: the run's record, its progress, looks at the model,
 * checkpoints, stopping when asked to, the result. The loop itself stands in the recipe:
 *
 *     using training = openTraining(setup, { model, trained, optimizer, tokenizer, data, plan, learningRate, checks, opening });
 *     for await (const step of training.steps(observe)) {
 *       const rows = step.rowsOf(trainRows);
 *       await step.accumulate(batchesOf(rows), (batch) => accumulateLoss(model, batch, meter));
 *       step.update();
 *       step.log(() => ({ rows, ...meter.take() }));
 *     }
 *     return await training.finish();
 *
 * Why it is cut here: docs/decisions/2026-11-22-recipes-own-their-loop.md
 */
import type { DataError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import { readCompanions } from "../model/save.js";
import { runReport } from "../report/run-report.js";
import type { CheckpointManifest } from "../run/checkpoint-folder.js";
import type { Check } from "../run/checks.js";
import { Progress } from "../run/progress.js";
import { type RunRecord, readRun } from "../run/read-run.js";
import type { Run } from "../run/run.js";
import { openRun } from "../run/run-directory.js";
import type { RunOutcome } from "../settings/recipe.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { effectiveChatTemplate } from "../tokenizer/write-tokenizer.js";
import { isDue, saveCheckpoint, type TrainingState } from "./checkpoint.js";
import { describeLeftOut } from "./describe-pairs.js";
import { requireDiskSpace } from "./disk-space.js";
import { Look, type Moment, type StepWatcher } from "./look.js";
import { MemoryAccount } from "./memory-account.js";
import type { Adamw } from "./optim/adamw.js";
import type { Schedule } from "./optim/schedules.js";
import { announceChecks } from "./preflight/preflight.js";
import { checkInParts, type TrainingSetup } from "./prepare-training.js";
import { stepProfiler } from "./profile-step.js";
import { announceStart } from "./start.js";
import { describePlan, type StepPlan } from "./step-plan.js";
import type { TrainedWeights } from "./trained-weights.js";
import { TrainingStep } from "./training-step.js";
import { watchRounding } from "./watch-rounding.js";

/** What a recipe has made before it trains. */
export interface TrainingParts {
  /** Where a number that breaks is looked for. */
  model: LanguageModel;
  trained: Pick<TrainedWeights, "parameters" | "adapter" | "save">;
  optimizer: Adamw;
  /** Saved with the model. */
  tokenizer: Tokenizer;
  data: { fingerprint: CheckpointManifest["data"]; skipped: readonly DataError[] };
  plan: StepPlan;
  learningRate: Schedule;
  /** What preflight found. */
  checks: readonly Check[];
  /** What is said of the data before the first step. */
  opening: string;
  /** Looks at the model beside the recipe's own. */
  tasks?: StepWatcher;
}

const NOBODY: StepWatcher = { observe: async () => {}, finish: async () => {}, cut: false };

/**
 * Opens the run folder, tells what is going to happen, and gives the object that the recipe's loop goes through. Call it when all
 * input has been checked and loaded: what fails earlier then leaves no trace.
 * @throws {TrainingError} ERR_DISK_SPACE; what `checkInParts` and `openRun` throw
 */
export function openTraining(setup: TrainingSetup, parts: TrainingParts): Training {
  const { settings, context, machine, start } = setup;
  const { totalSteps } = parts.plan;
  const { environment } = machine;
  checkInParts(setup, parts.model);
  const weights = [...parts.trained.parameters.values()];
  const resultBytes = weights.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (setup.world.isMain) requireDiskSpace(settings.out, resultBytes);
  const run = openRun(settings.out, { ...context, ...start.run, settings, totalSteps, environment });
  try {
    return new Training(setup, parts, run);
  } catch (error) {
    run[Symbol.dispose]();
    throw error;
  }
}

export class Training implements Disposable {
  readonly #setup: TrainingSetup;
  readonly #parts: TrainingParts;
  readonly #run: Run;
  readonly #lineage;
  readonly #progress: Progress;
  readonly #memory: MemoryAccount;
  readonly #rounding;
  readonly #profiler;
  readonly #tasks: StepWatcher;
  readonly #state: TrainingState;
  /** Updates done. */
  #step: number;

  /** @param run belongs to the training from now on */
  constructor(setup: TrainingSetup, parts: TrainingParts, run: Run) {
    const { settings, context, machine, world, start } = setup;
    const { trained, optimizer, plan, tokenizer, data, tasks = NOBODY } = parts;
    this.#setup = setup;
    this.#parts = parts;
    this.#run = run;
    this.#tasks = tasks;
    this.#step = start.step;
    const extent = { start: start.step, total: plan.totalSteps };
    this.#lineage = run.openLineage(`${settings.data} sha256:${data.fingerprint.sha256}`);
    this.#progress = new Progress({ label: context.recipe, unit: "step", ...extent, mode: context.output });
    const { optimizerInBackward } = settings;
    this.#memory = new MemoryAccount({ parameters: trained.parameters, optimizer, optimizerInBackward });
    this.#rounding = watchRounding(trained.parameters, optimizer, settings, run);
    this.#profiler = stepProfiler(settings, extent, run, machine.device);
    // Read now, because the folder may be gone when the model is saved.
    const companions = readCompanions(start.modelFolder, effectiveChatTemplate(tokenizer));
    const save = (folder: string): void => trained.save(folder, companions);
    const { environment } = machine;
    this.#state = { ...context, world, save, optimizer, settings, environment, plan, data: data.fingerprint };
    this.#announce();
  }

  /**
   * Step after step, until all are done or somebody asks to stop; checkpoints are written when they are due, and before a stop.
   * @param observe looks at the model before the first step and after each; awaited
   */
  async *steps(observe: (look: Look) => Promise<void> = async () => {}): AsyncGenerator<TrainingStep> {
    const { settings, world, context } = this.#setup;
    const { totalSteps } = this.#parts.plan;
    const isAsked = (): boolean => world.any(context.signal.aborted);
    if (this.#step === 0) await this.#look(observe);
    else await this.#tasks.finish(this.#moment);
    let stopping = isAsked();
    while (this.#step < totalSteps && !stopping) {
      yield* this.#oneStep();
      this.#memory.look();
      await this.#look(observe);
      stopping = isAsked();
      if (isDue(this.#step, settings.saveEverySteps) || stopping) {
        await saveCheckpoint(this.#run, this.#step, this.#state);
        stopping ||= isAsked(); // while it was written
      }
    }
  }

  /**
   * Saves the result of a complete run - a model or adapter folder that loads anywhere - and a report, and says where they are.
   * @param closing what else is told at the end, of the run's record
   */
  async finish(closing: (record: RunRecord) => string = () => ""): Promise<RunOutcome> {
    const { world, context, settings } = this.#setup;
    const [run, step] = [this.#run, this.#step];
    const outcome = step < this.#parts.plan.totalSteps || this.#tasks.cut ? "interrupted" : "completed";
    if (outcome === "completed") {
      await run.writeFolder("final", this.#state.save);
      world.meet(); // rank 0 writes what others have
      run.log({ event: "checkpoint-saved", step, path: "final" });
    }
    const { peakBytes, parts } = this.#memory.result();
    run.log({ event: "memory-measured", step, peak_bytes: peakBytes, parts });
    run.end(outcome);
    if (!world.isMain) return outcome;
    const record = await readRun(run.path);
    const report = run.writeFile("report.html", runReport(record));
    this.#progress.end();
    const kind = this.#parts.trained.adapter === undefined ? "model  " : "adapter";
    const last = [
      closing(record),
      outcome === "completed"
        ? `${kind} ${run.finalPath}`
        : `stopped after step ${step}; \`camelid ${context.recipe} --resume --out ${settings.out}\` continues`,
      `report  ${report}`,
    ];
    this.#progress.print(last.filter((line) => line !== "").join("\n"));
    return outcome;
  }

  [Symbol.dispose](): void {
    this.#profiler?.[Symbol.dispose]();
    this.#rounding?.[Symbol.dispose]();
    this.#progress[Symbol.dispose]();
    this.#run[Symbol.dispose]();
  }

  #announce(): void {
    const { settings, context, start } = this.#setup;
    const { data, plan, checks, opening } = this.#parts;
    const run = this.#run;
    this.#progress.print(
      [
        opening,
        describePlan(plan, settings),
        ...announceChecks(checks, run, context),
        ...announceStart(start, run),
      ].join("\n"),
    );
    if (data.skipped.length > 0) run.writeFile("left-out.txt", describeLeftOut(data.skipped));
  }

  get #moment(): Moment {
    const { totalSteps } = this.#parts.plan;
    return { run: this.#run, step: this.#step, totalSteps, progress: this.#progress };
  }

  async #look(observe: (look: Look) => Promise<void>): Promise<void> {
    await observe(new Look(this.#moment));
    await this.#tasks.observe(this.#moment);
  }

  /** Gives the next step to the recipe, and counts it as done when it was logged: the recipe may leave its loop. */
  *#oneStep(): Generator<TrainingStep> {
    const number = this.#step + 1;
    this.#profiler?.begin(number);
    using step = this.#newStep(number);
    try {
      yield step;
    } finally {
      if (step.isLogged) this.#step = number;
    }
    const { tokens } = step;
    this.#profiler?.end(number, tokens, this.#progress);
  }

  #newStep(number: number): TrainingStep {
    const { settings, world } = this.#setup;
    const { model, optimizer, plan, learningRate } = this.#parts;
    const [run, lineage, progress, rounding] = [this.#run, this.#lineage, this.#progress, this.#rounding];
    const around = {
      settings,
      world,
      model,
      optimizer,
      plan,
      learningRate,
      run,
      lineage,
      progress,
      rounding,
    };
    return new TrainingStep(number, around);
  }
}
