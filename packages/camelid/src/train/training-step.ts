/** One optimizer step, in the order in which a recipe takes it: rows, passes, update, report. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { rowsOfStep } from "../data/sampler.js";
import { InternalError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import type { World } from "../parallel/world.js";
import { nextTurn } from "../run/interrupt.js";
import type { Progress } from "../run/progress.js";
import type { RowRecorder, Run } from "../run/run.js";
import { locateNaN } from "./locate-nan.js";
import type { StepLosses } from "./loss-meter.js";
import type { Adamw } from "./optim/adamw.js";
import type { Schedule } from "./optim/schedules.js";
import { seedDropout } from "./seed-dropout.js";
import type { StepPlan } from "./step-plan.js";
import { stopOnNaN } from "./stop-on-nan.js";
import type { RoundingWatch } from "./watch-rounding.js";

/** What a step uses of its run. */
export interface StepSurroundings {
  readonly settings: { seed: number; maxGradNorm: number | null; lora: { dropout: number } | null };
  readonly world: World;
  readonly model: LanguageModel;
  readonly optimizer: Adamw;
  readonly learningRate: Schedule;
  readonly plan: StepPlan;
  readonly run: Run;
  readonly lineage: RowRecorder;
  readonly progress: Progress;
  readonly rounding: RoundingWatch | undefined;
}

/** What a recipe reports of a step. Numbers are those of all ranks. */
export interface StepReport {
  /** What the step trained on: recorded, and named when a number breaks. */
  rows: readonly { readonly id: string; readonly place: number }[];
  loss: number;
  trainedTokens: number;
  /** Real tokens that went through the model. */
  tokens: number;
  sources?: StepLosses["sources"];
  /** What the method adds, by the names of `events.jsonl`. */
  metrics?: Record<string, number>;
  /** For the progress line, behind count and rate. */
  shown: Record<string, string | number>;
}

export class TrainingStep implements Disposable {
  /** Counted from 1. */
  readonly number: number;
  /** Of this update. */
  readonly learningRate: number;
  readonly #of: StepSurroundings;
  readonly #started = performance.now();
  #passes: (() => void) | undefined;
  #gradNorm: Tensor | undefined;
  #tokens: number | undefined;

  constructor(number: number, surroundings: StepSurroundings) {
    this.number = number;
    this.learningRate = surroundings.learningRate(number);
    this.#of = surroundings;
  }

  /** Since the step began. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /**
   * The rows of this step, on every rank the same. The seed and the step alone decide which they are; how they are split and
   * packed changes nothing.
   * @param all every row that is trained, in the order of the data
   */
  rowsOf<Row>(all: readonly Row[]): Row[] {
    const { settings, plan } = this.#of;
    const { numRows, sequencesPerStep: rowsPerStep } = plan;
    const places = rowsOfStep(this.number, { seed: settings.seed, numRows, rowsPerStep });
    return places.map((place) => all[place]!);
  }

  /**
   * A forward and backward pass for each of this rank's micro-batches: gradients add up.
   * @param pass called again for every batch when a number breaks, to find the layer where it did
   * @throws {InternalError} when called twice: ranks learn at its beginning after how many passes their gradients are whole
   */
  async accumulate<Batch>(batches: readonly Batch[], pass: (batch: Batch) => void): Promise<void> {
    if (this.#passes !== undefined)
      throw outOfOrder("a step has one `accumulate`, which takes all its batches");
    const { settings, world, optimizer, rounding } = this.#of;
    rounding?.remember();
    seedDropout(this.number, settings, world);
    optimizer.begin(this.learningRate, batches.length);
    this.#passes = () => {
      batches.forEach(pass);
      world.meet(); // others may have more of them
    };
    for (const batch of batches) {
      pass(batch);
      await nextTurn(); // lets Ctrl+C through
    }
  }

  /** Clips the gradients of all ranks together, updates the weights, and clears the gradients. */
  update(): void {
    if (this.#passes === undefined || this.#gradNorm !== undefined)
      throw outOfOrder("`update` comes once, after `accumulate`");
    const { settings, optimizer } = this.#of;
    this.#gradNorm = optimizer.update(this.learningRate, settings.maxGradNorm);
  }

  /**
   * Writes the step's rows and its `step-end` event, and moves the progress line.
   * @throws {TrainingError} `ERR_NAN`, naming rows and layer, when loss or gradient is not a number
   */
  log(report: () => StepReport): void {
    torch.span("log", () => {
      const { model, plan, run, lineage, progress, rounding } = this.#of;
      const { number: step, learningRate: lr } = this;
      const { rows, loss, trainedTokens, tokens, sources, shown, ...reported } = report();
      const gradNorm = this.#gradNorm?.item();
      if (gradNorm === undefined) throw outOfOrder("`log` comes after `update`");
      stopOnNaN(step, { loss, trainedTokens, sources: sources ?? {} }, gradNorm, rows, () =>
        locateNaN(model, this.#passes!),
      );
      lineage.append(
        step,
        rows.map(({ place }) => place),
      );
      const metrics = { ...reported.metrics, ...rounding?.metrics(step, lr)?.metrics };
      run.log({
        event: "step-end",
        step,
        epoch: (step * plan.sequencesPerStep) / plan.numRows,
        loss,
        lr,
        grad_norm: gradNorm,
        trained_tokens: trainedTokens,
        tokens_per_second: tokens / this.seconds,
        ...(sources === undefined ? {} : { sources }),
        ...(Object.keys(metrics).length === 0 ? {} : { metrics }),
      });
      progress.update(step, shown);
      this.#tokens = tokens;
    });
  }

  get isLogged(): boolean {
    return this.#tokens !== undefined;
  }

  /** What `log` was told. @throws {InternalError} when the recipe left a part out */
  get tokens(): number {
    if (this.#tokens === undefined) throw outOfOrder("a step ends with `log`");
    return this.#tokens;
  }

  [Symbol.dispose](): void {
    this.#gradNorm?.dispose();
  }
}

function outOfOrder(rule: string): InternalError {
  return new InternalError(`${rule}.`, {
    where: "the recipe's loop",
    fix: "take the parts of a step in this order: rowsOf, accumulate, update, log.",
  });
}
