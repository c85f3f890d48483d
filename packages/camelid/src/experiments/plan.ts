/** From an experiment to the runs it needs: each with a key of everything that decides what comes of it. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SettingsError } from "../errors.js";
import {
  type Experiment,
  type Input,
  type MixStage,
  type Row,
  type Stage,
  type TrainStage,
  tasksOf,
} from "./experiment.js";

/** A place that an experiment is given, and what it holds: the same key, the same content. */
export interface Given {
  readonly path: string;
  readonly key: string;
}

export interface PlannedMix {
  readonly does: "mix";
  readonly name: string;
  readonly stage: MixStage;
  readonly sources: string;
  readonly tokenizer: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly key: string;
  readonly folder: string;
}

export interface PlannedTraining {
  readonly does: "sft" | "dpo";
  readonly name: string;
  readonly stage: TrainStage;
  readonly model: string;
  readonly data: string;
  /** Complete, places included. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly key: string;
  readonly folder: string;
}

export interface PlannedEval {
  readonly does: "eval";
  readonly name: string;
  readonly row: Row;
  readonly model: string;
  readonly tasks: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly key: string;
  readonly folder: string;
}

export type Planned = PlannedMix | PlannedTraining | PlannedEval;

export interface PlanOptions {
  /** Where stages, evaluations and tables go. */
  readonly out: string;
  /** Stages that come before the experiment's own: how a miniature makes its base. */
  readonly before?: Readonly<Record<string, Stage>>;
  readonly given: Readonly<Partial<Record<Input, Given>>>;
  /** What takes a tokenizer's place in mixtures: a model folder. */
  readonly tokenizer: Given;
  /** Effective settings of a stage; places may be left open. */
  settingsOf(does: "mix" | "sft" | "dpo" | "eval", stage: Stage | Row): Readonly<Record<string, unknown>>;
  /** Key of the evaluation files. */
  readonly evalData: string;
}

/** Settings that decide where and how fast, not what. */
const NO_MATTER = new Set(
  "model data out threads preflight profile saveEverySteps keepCheckpoints concurrency batchSize kvCacheBytes".split(
    " ",
  ),
);

/**
 * All runs in the order in which they can be made. Two experiments with the same stage plan the same folder for it.
 * @throws {SettingsError} ERR_EXPERIMENT_INPUT naming what is not given
 */
export function planExperiment(experiment: Experiment, options: PlanOptions): Planned[] {
  const stages = { ...options.before, ...experiment.stages };
  const planned = new Map<string, Planned & { result: Given }>();
  const missing = new Set<string>();

  const resolve = (input: Input): Given => {
    const given = options.given[input];
    if (given !== undefined) return given;
    const stage = stages[input];
    if (stage === undefined) {
      missing.add(input);
      return { path: "", key: "" };
    }
    const known = planned.get(input) ?? add(input, stage);
    return known.result;
  };

  function add(name: string, stage: Stage): Planned & { result: Given } {
    const one = stage.does === "mix" ? mixOf(name, stage) : trainingOf(name, stage);
    planned.set(name, one);
    return one;
  }

  function mixOf(name: string, stage: MixStage): PlannedMix & { result: Given } {
    const sources = resolve("sources");
    const settings = options.settingsOf("mix", stage);
    const key = keyOf(stage, settings, [sources.key, options.tokenizer.key]);
    const folder = join(options.out, "stages", `${name}-${key}`);
    const places = { sources: sources.path, tokenizer: options.tokenizer.path };
    const result = { path: join(folder, "train.jsonl"), key };
    return { does: "mix", name, stage, ...places, settings, key, folder, result };
  }

  function trainingOf(name: string, stage: TrainStage): PlannedTraining & { result: Given } {
    const [model, data] = [resolve(stage.model), resolve(stage.data)];
    const settings = options.settingsOf(stage.does, stage);
    const key = keyOf({ does: stage.does }, settings, [model.key, data.key]);
    const folder = join(options.out, "stages", `${name}-${key}`);
    const places = { model: model.path, data: data.path };
    const result = { path: join(folder, "final"), key };
    return {
      ...{ does: stage.does, name, stage, ...places, key, folder, result },
      settings: { ...settings, ...places, out: folder },
    };
  }

  function evalOf(row: Row): PlannedEval {
    const model = resolve(row.model);
    const tasks = tasksOf(experiment).filter((task) => !row.without?.includes(task));
    const chat = row.chat === false ? "no" : "auto";
    const settings = { ...options.settingsOf("eval", row), chat };
    // Tasks are no part of the key: an evaluation takes further tasks into its folder.
    const key = keyOf({ does: "eval" }, settings, [model.key, options.evalData]);
    const folder = join(options.out, "evals", `${row.model}-${key}`);
    return { does: "eval", name: row.name, row, model: model.path, tasks, settings, key, folder };
  }

  const evaluations = experiment.rows.map(evalOf);
  if (missing.size > 0) throw notGiven([...missing]);
  const runs = [...planned.values()].map(({ result: _, ...one }) => one as Planned);
  return [...runs, ...evaluations];
}

function keyOf(what: object, settings: object, inputs: readonly string[]): string {
  const kept = Object.entries(settings)
    .filter(([name]) => !NO_MATTER.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return shortHash(JSON.stringify([what, kept, inputs]));
}

/** Eight hex digits: enough to tell the runs of one folder apart. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

const FLAGS: Readonly<Record<string, string>> = {
  base: "--base MODEL, the model that everything starts from",
  codeBase: "--code-base MODEL, a model trained on code",
  sources:
    "--sources DIR, raw files of the mixtures (`camelid mix` says which), or each mixture with --data name=FILE",
  pairs: "--pairs FILE, preference data",
};

function notGiven(names: readonly string[]): SettingsError {
  const wanted = names.map((name) => FLAGS[name] ?? `--data ${name}=FILE`);
  return new SettingsError("ERR_EXPERIMENT_INPUT", `the experiment needs ${names.join(", ")}.`, {
    fix: `give ${wanted.join("; ")}. Without --base everything is made in miniature.`,
  });
}
