/** `camelid experiment`: one of the paper's experiments from raw files to its table. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { type Given, planExperiment } from "../../experiments/plan.js";
import { runStages } from "../../experiments/run-stages.js";
import { writeResults } from "../../experiments/write-results.js";
import { Interrupt } from "../../run/interrupt.js";
import { outputMode } from "../../run/progress.js";
import type { Layer } from "../../settings/layers.js";
import type { Recipe } from "../../settings/recipe.js";
import { checkEvaluations, commandDoors } from "../experiment/doors.js";
import { describe, experimentNames, findExperiment, planLine } from "../experiment/find-experiment.js";
import { givenAt, namedFiles } from "../experiment/given.js";
import { openHouseJudge } from "../experiment/house-judge.js";
import {
  type LaidOut,
  layOutMiniature,
  MINIATURE_EVAL,
  MINIATURE_PRESETS,
  MINIATURE_REMARK,
  MINIATURE_STAGES,
} from "../experiment/miniature.js";
import { changes, presetLayer, type StageSettings, stageSettings } from "../experiment/stage-settings.js";
import { fetchWithProgress } from "../fetch-models.js";
import { builtRecipes, loadBuiltRecipe } from "../load-recipe.js";

interface Flags {
  base?: string;
  codeBase?: string;
  sources?: string;
  data?: string[];
  pairs?: string;
  evalData?: string;
  download: boolean;
  judges?: string;
  options?: string;
  size: string;
  out: string;
  set?: string[];
  threads?: number;
  plan: boolean;
  json: boolean;
}

/** Where recipes and experiments come from: the build, or the sources in tests. */
export interface ExperimentSources {
  recipe(name: "sft" | "dpo"): Promise<Recipe>;
  /** Folder with a module per experiment. */
  readonly folder: URL;
}

const BUILT: ExperimentSources = {
  recipe: (name) => loadBuiltRecipe(name),
  folder: new URL("experiments/", builtRecipes),
};

export function command(sources: ExperimentSources = BUILT): Command {
  return new Command("experiment")
    .description(
      `One of the Tülu 2 paper's experiments: mixtures, training, evaluation, and the paper's table with your rows beside it. Without --base everything is made in miniature, without a download, in minutes.\n\nExperiments: ${experimentNames(sources.folder).join(", ")}; or a file of your own.`,
    )
    .argument("[name]", "which one; without it they are listed")
    .option("--base <model>", "model that everything starts from; folder or org/name on a hub")
    .option("--code-base <model>", "for `code`: a model that has read code")
    .option("--sources <dir>", "raw files of the mixtures, one folder per source, as for `camelid mix`")
    .option(
      "--data <name=file>",
      "a finished mixture instead, such as v2=train.jsonl; may be repeated",
      collect,
    )
    .option("--pairs <file>", "preference data for DPO")
    .option("--eval-data <dir>", "folder with the benchmarks' official files")
    .option("--download", "fetch official evaluation files that are missing", false)
    .option("--judges <roles>", "who judges, as for `camelid eval`: role=URL#model,role=folder")
    .option("--options <options>", "options of tasks, as for `camelid eval`: task.name=value")
    .addOption(
      new Option("--size <size>", "which of the paper's presets: 7b, 13b, 70b, 34b for code").default("7b"),
    )
    .option(
      "--out <dir>",
      "folder for all stages; experiments share what they have in common there",
      "out/experiments",
    )
    .option(
      "--set <key=value>",
      "a setting of a stage: sft.epochs=1, dpo.beta=0.05, eval.limit=100; may be repeated",
      collect,
    )
    .option("--threads <n>", "CPU threads", Number)
    .option("--plan", "show the stages and stop", false)
    .option("--json", "progress as JSON lines", false)
    .action((name: string | undefined, flags: Flags) => act(name, flags, sources));
}

async function act(name: string | undefined, flags: Flags, sources: ExperimentSources): Promise<void> {
  if (name === undefined) {
    for (const one of experimentNames(sources.folder))
      print(describe(await findExperiment(one, sources.folder)));
    return;
  }
  const experiment = await findExperiment(name, sources.folder);
  const recipes = { sft: await sources.recipe("sft"), dpo: await sources.recipe("dpo") };
  const threads = flags.threads === undefined ? [] : [`threads=${flags.threads}`];
  const asked = [listed("eval.judges", flags.judges), listed("eval.options", flags.options)].flat();
  const settings = stageSettings(recipes, [...(flags.set ?? []), ...threads, ...asked]);
  const mode = outputMode(flags.json);
  using interrupt = new Interrupt({ text: "Stopping and saving; the same command goes on." });
  const { signal } = interrupt;

  const miniature = flags.base === undefined ? await layOutMiniature(flags.out, sizeOf(settings)) : undefined;
  const given = miniature === undefined ? await givenBy(flags) : { ...miniature.given, ...givenFiles(flags) };
  const evalData = flags.evalData ?? miniature?.evalData;
  const stages = planExperiment(experiment, {
    ...{ out: flags.out, given, tokenizer: given.blank ?? given.base! },
    ...(miniature === undefined ? {} : { before: MINIATURE_STAGES }),
    evalData: evalData === undefined ? "" : resolve(evalData),
    settingsOf: (does, stage) =>
      settings.of(
        does,
        miniature === undefined ? paperLayers(recipes, stage, flags.size) : miniatureLayers(stage),
      ),
  });
  if (flags.plan) return print(stages.map(planLine).join("\n"));

  const evalFolders = evalData === undefined ? [] : [evalData];
  if (miniature === undefined) await checkEvaluations(stages, evalFolders, flags.download);

  await using judge = miniature === undefined ? undefined : await openHouseJudge(miniature.judged);
  const doors = commandDoors({
    recipes,
    evalData: evalFolders,
    download: flags.download,
    ...(judge === undefined || flags.judges !== undefined
      ? {}
      : { judges: houseRoles(judge.url, miniature!) }),
    brief: miniature !== undefined,
    context: { signal, output: mode },
  });
  const remark = miniature === undefined ? undefined : MINIATURE_REMARK;
  if (remark !== undefined && mode !== "json") print(remark);
  const made = await runStages(stages, doors, (text) =>
    mode === "json" ? process.stderr.write(`${text}\n`) : print(text),
  );
  if (made === undefined) {
    process.stderr.write("interrupted; the same command goes on where it was\n");
    process.exitCode = 130;
    return;
  }
  const { text, report, results } = await writeResults(flags.out, experiment, made, remark);
  print(
    mode === "json"
      ? JSON.stringify({ event: "experiment", experiment: experiment.name, ...results })
      : `\n${text}\nreport  ${report}`,
  );
}

const sizeOf = (settings: StageSettings) =>
  settings.of("miniature", []) as unknown as Parameters<typeof layOutMiniature>[1];

type AnyStage = Parameters<typeof presetLayer>[1];

function paperLayers(
  recipes: Readonly<Record<"sft" | "dpo", Recipe>>,
  stage: AnyStage,
  size: string,
): Layer[] {
  if (!("does" in stage)) return [{ source: "preset", name: "paper", values: { profile: "tulu2-paper" } }];
  return stage.does === "mix" ? [] : presetLayer(recipes[stage.does], stage, size);
}

function miniatureLayers(stage: AnyStage): Layer[] {
  const preset = (values: object): Layer => ({ source: "preset", name: "miniature", values });
  if (!("does" in stage)) return [preset(MINIATURE_EVAL)];
  if (stage.does === "mix") return [preset({ allowMissing: true })];
  return [preset(MINIATURE_PRESETS[stage.preset] ?? {}), ...changes(stage)];
}

async function givenBy(flags: Flags): Promise<Record<string, Given>> {
  const mode = outputMode(flags.json);
  const models = { base: flags.base, codeBase: flags.codeBase };
  const given: Record<string, Given> = {};
  for (const [name, model] of Object.entries(models)) {
    if (model === undefined) continue;
    const path = await fetchWithProgress(model, { mode });
    given[name] = existsSync(path) ? givenAt(`--${name}`, path) : { path, key: path };
  }
  return { ...given, ...givenFiles(flags) };
}

function givenFiles({ sources, pairs, data }: Flags): Record<string, Given> {
  return {
    ...(sources === undefined ? {} : { sources: givenAt("--sources", sources) }),
    ...(pairs === undefined ? {} : { pairs: givenAt("--pairs", pairs) }),
    ...namedFiles((data ?? []).flatMap((words) => words.split(","))),
  };
}

const houseRoles = (url: string, { classifier }: LaidOut): string[] => [
  ...["judge", "truth", "info"].map((role) => `${role}=${url}#house`),
  `classifier=${classifier}`,
];

const listed = (key: string, words: string | undefined): string[] =>
  words === undefined ? [] : [`${key}=${words}`];

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}
