/** README.md of a model, written from the run that made it: nothing in it is typed by hand, so nothing in it is older than the model. */
import { basename } from "node:path";
import type { ModelConfig } from "../../model/model-config.js";
import type { RunRecord } from "../../run/read-run.js";
import { camelidVersion } from "../../run/version.js";
import { compileChatTemplate } from "../../tokenizer/chat-template.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { effectiveChatTemplate } from "../../tokenizer/write-tokenizer.js";
import { type EvalFacts, readEvalFacts } from "./evals.js";
import { SOURCE_LICENCES } from "./licences.js";
import { type MixtureFacts, readStages, type Stage } from "./run-facts.js";

export interface ModelCardOptions {
  name: string;
  config: ModelConfig;
  tokenizer: Tokenizer;
  /** Folder of the run that made it. */
  run: string;
  /** Results of `camelid eval`: folders or metrics.json files. */
  evals?: readonly string[];
  /** SPDX name, for the head of the card; readers see "other" when left out. */
  licence?: string | undefined;
}

/** @throws {CheckpointError} when there is no run; {SettingsError} `ERR_CARD_EVAL` */
export async function modelCard(options: ModelCardOptions): Promise<string> {
  const { stages, origin } = await readStages(options.run);
  const evals = (options.evals ?? []).map(readEvalFacts);
  const sections = [
    frontMatter(options, origin),
    `# ${options.name}`,
    summary(options, stages, origin),
    prompting(options.tokenizer),
    ...stages.map((stage, i) => training(stage, stages.length > 1 ? `Training, stage ${i + 1}` : "Training")),
    evaluation(evals),
    contamination(stages, evals),
    limitations(options.config, stages),
  ];
  return `${sections.join("\n\n")}\n`;
}

function frontMatter({ licence }: ModelCardOptions, origin: string): string {
  const lines = [
    `license: ${licence ?? "other"}`,
    ...(origin.includes("/") ? [`base_model: ${origin}`] : []),
    "library_name: transformers",
    "pipeline_tag: text-generation",
    "tags:\n  - camelid",
  ];
  return ["---", ...lines, "---"].join("\n");
}

const METHODS: Readonly<Record<string, string>> = {
  sft: "supervised fine-tuning on conversations",
  dpo: "direct preference optimisation",
};

function summary({ config }: ModelCardOptions, stages: readonly Stage[], origin: string): string {
  const methods = stages.map(({ run }) => METHODS[run.provenance.recipe] ?? run.provenance.recipe);
  return `A ${config.modelType} model of ${(parameterCount(config) / 1e6).toFixed(0)} million parameters, made from \`${origin}\` by ${methods.join(", then ")}. This page was written from the records of the training run, by camelid ${camelidVersion()}.`;
}

function parameterCount(config: ModelConfig): number {
  const { hiddenSize: hidden, headDim, numAttentionHeads: heads, numKeyValueHeads: kv } = config;
  const layer = hidden * headDim * (2 * heads + 2 * kv) + 3 * hidden * config.intermediateSize;
  return config.numHiddenLayers * layer + (config.tieWordEmbeddings ? 1 : 2) * config.vocabSize * hidden;
}

function prompting(tokenizer: Tokenizer): string {
  const template = compileChatTemplate(effectiveChatTemplate(tokenizer), tokenizer, tokenizer.folder);
  const render = (roles: readonly string[]): string | undefined => {
    try {
      return template.render(
        roles.map((role) => ({ role, content: `{${role} text}` })),
        { addGenerationPrompt: true },
      );
    } catch {
      return undefined;
    }
  };
  const example = render(["user", "assistant", "user"]) ?? render(["user"]) ?? "";
  return [
    "## How to prompt it",
    "It was trained in this layout and answers best in it. The chat template travels with the tokenizer; `parity.json`, where it is here, holds conversations with the token ids they must become.",
    fenced(example),
    `An answer ends with \`${tokenizer.eosToken ?? "the end token"}\`.${render(["system", "user"]) === undefined ? " The layout has no system message." : ""}`,
  ].join("\n\n");
}

function training({ run, mixture, base }: Stage, title: string): string {
  const last = run.steps.at(-1);
  const tokens = run.steps.reduce((sum, step) => sum + step.trained_tokens, 0);
  const facts = [
    `started from \`${base.includes("/") && !base.startsWith("/") ? base : basename(base)}\``,
    `${run.steps.length} optimizer steps, ${tokens.toLocaleString("en")} trained tokens`,
    ...(last === undefined
      ? []
      : [`loss ${number(run.steps[0]!.loss)} in the first step, ${number(last.loss)} in the last`]),
    ...heldOut(run),
    ...(run.status === "completed" ? [] : [`**the run is ${run.status}**`]),
  ];
  return [
    `## ${title}: ${METHODS[run.provenance.recipe] ?? run.provenance.recipe}`,
    `${facts.map((fact) => `- ${fact}`).join("\n")}`,
    dataSection(run, mixture),
    `### Settings\n\n${settingsTable(run)}`,
  ].join("\n\n");
}

function heldOut(run: RunRecord): string[] {
  const losses = run.evals.flatMap((event) => (event.name === "held-out" ? [event.loss] : []));
  if (losses.length === 0) return [];
  return [
    `loss on held-out rows ${losses.length === 1 ? "" : `${number(losses[0])} before, `}${number(losses.at(-1))} after`,
  ];
}

const number = (value: unknown): string =>
  typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);

function dataSection(run: RunRecord, mixture: MixtureFacts | undefined): string {
  const file = basename(String(run.settings.data ?? ""));
  if (mixture === undefined) {
    const sources = Object.keys(run.steps.at(-1)?.sources ?? {});
    return `### Data\n\nTrained on \`${file}\`${sources.length > 0 ? `, rows of ${sources.join(", ")}` : ""}. No manifest of a mixture lies beside it, so counts and licences are not recorded.`;
  }
  const { sha256 } = mixture.files[file]!;
  const rows = mixture.sources.filter(({ written }) => written > 0);
  const total = rows.reduce((sum, { written }) => sum + written, 0);
  return [
    "### Data",
    `Mixture \`${mixture.mixture}\`, seed ${mixture.seed}, ${total.toLocaleString("en")} rows${sha256 === undefined ? "" : `, sha256 \`${sha256.slice(0, 16)}\``}.`,
    table(
      ["source", "rows", "licence"],
      rows.map(({ name, written }) => [
        name,
        written.toLocaleString("en"),
        SOURCE_LICENCES[name] ?? "not recorded",
      ]),
    ),
  ].join("\n\n");
}

/** Places on a machine say nothing to others. */
const PLACES = new Set(["model", "data", "out", "evalData", "samplePrompts", "reference", "preferences"]);

function settingsTable({ settings }: RunRecord): string {
  const rows = Object.entries(settings).filter(([key, value]) => !PLACES.has(key) && value !== null);
  return table(
    ["setting", "value"],
    rows.map(([key, value]) => [
      `\`${key}\``,
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]),
  );
}

function evaluation(evals: readonly EvalFacts[]): string {
  const rows = evals.flatMap(({ tasks, profile }) =>
    Object.values(tasks).map((task) => [
      `${task.title}${task.shots === undefined ? "" : `, ${task.shots} shots`}${profile === undefined ? "" : ` (${profile})`}`,
      task.metric,
      task.score === null ? "no verdict" : `${number(task.score)}${task.unit}`,
      task.interval === null ? "" : `${number(task.interval[0])} to ${number(task.interval[1])}`,
      `${task.items}${task.failed > 0 ? `, ${task.failed} without verdict` : ""}${task.limit === undefined ? "" : ", a subset"}`,
    ]),
  );
  if (rows.length === 0) return "## Evaluation\n\nNot evaluated on any benchmark.";
  return `## Evaluation\n\n${table(["task", "metric", "score", "95 % interval", "items"], rows)}`;
}

function contamination(stages: readonly Stage[], evals: readonly EvalFacts[]): string {
  const contacts = new Map<string, number>();
  let searched = false;
  for (const { mixture } of stages) {
    for (const source of mixture?.sources ?? []) {
      for (const [benchmark, count] of Object.entries(source.contacts))
        contacts.set(benchmark, (contacts.get(benchmark) ?? 0) + count);
    }
    searched ||= (mixture?.settings as { decontaminate?: unknown } | undefined)?.decontaminate !== undefined;
  }
  for (const { contamination: found } of evals) {
    if (found === undefined) continue;
    searched ||= found.searched;
    for (const [benchmark, count] of Object.entries(found.contacts))
      contacts.set(benchmark, Math.max(contacts.get(benchmark) ?? 0, count));
  }
  const heading = "## Contamination";
  if (contacts.size > 0) {
    const rows = [...contacts].map(([benchmark, count]) => [benchmark, count.toLocaleString("en")]);
    return `${heading}\n\nTraining rows that hold texts of a benchmark, found by shared word sequences:\n\n${table(["benchmark", "rows"], rows)}`;
  }
  if (searched)
    return `${heading}\n\nThe training rows were searched for texts of the benchmarks; none was found.`;
  if (stages.every(({ mixture }) => mixture === undefined))
    return `${heading}\n\nWhether the training rows hold texts of benchmarks is not recorded: scores on public benchmarks may be too high.`;
  return `${heading}\n\nThe training rows were not searched for texts of benchmarks: scores on public benchmarks may be too high.`;
}

function limitations(config: ModelConfig, stages: readonly Stage[]): string {
  const recipes = stages.map(({ run }) => run.provenance.recipe);
  const preferences = recipes.includes("dpo") ? "comparisons" : recipes.includes("kto") && "judged answers";
  const lengths = stages
    .map(({ run }) => run.settings.maxSeqLen)
    .filter((length) => typeof length === "number");
  const points = [
    "It states wrong things fluently. What it says has to be checked.",
    preferences
      ? `Preferences were learned from a data set of ${preferences}; no further safety training was done, and it can be led to harmful or offensive answers.`
      : "No safety training was done: it can be led to harmful or offensive answers, and repeats the biases of its data.",
    `It was trained on rows of up to ${lengths.length > 0 ? Math.max(...(lengths as number[])) : config.maxPositionEmbeddings} tokens; longer conversations are untested.`,
    "Licences of base model and data apply to what is done with it.",
  ];
  return `## Limitations\n\n${points.map((point) => `- ${point}`).join("\n")}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** A fence longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}
