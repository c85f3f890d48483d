import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { clozeProbes } from "../../demo/answers.js";
import { makeCorpus } from "../../demo/corpus.js";
import { makeInstructions } from "../../demo/instructions.js";
import { makePreferences } from "../../demo/preferences.js";
import { makeWorld } from "../../demo/world.js";
import { SettingsError } from "../../errors.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { Interrupt } from "../../run/interrupt.js";
import { outputMode } from "../../run/progress.js";
import { readRun } from "../../run/read-run.js";
import type { RecipeContext } from "../../settings/recipe.js";
import { compare, comparisonText, examplesText, STAGE_NAMES, type Stage } from "../demo/comparison.js";
import { demoReport } from "../demo/demo-report.js";
import {
  BASE_SETTINGS,
  CORPUS_DOCUMENTS,
  DPO_SETTINGS,
  INSTRUCTION_ROWS,
  SFT_SETTINGS,
} from "../demo/plan.js";
import { type Asked, continueTexts, examine, makeBlankModel, train } from "../demo/stages.js";
import { loadBuiltRecipe } from "../load-recipe.js";

export function command(): Command {
  return new Command("demo")
    .description(
      "The pipeline in miniature, without a download: data, a base model, SFT, DPO, before and after.",
    )
    .option("--out <folder>", "new folder for everything it makes; default: out/demo-<time>")
    .option("--threads <n>", "CPU threads; default: one for each physical core", Number)
    .option("--seed <n>", "another seed gives another valley", Number, 0)
    .action(demo);
}

async function demo(options: { out?: string; threads?: number; seed: number }): Promise<void> {
  if (!Number.isSafeInteger(options.seed) || options.seed < 0) {
    throw new SettingsError("ERR_SEED", "the seed is not a whole number from 0.", { where: "--seed" });
  }
  const started = performance.now();
  const out =
    options.out ?? join("out", `demo-${new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, "-")}`);
  const say = (text: string): void => console.log(text);
  using interrupt = new Interrupt();
  const context = (recipe: string): RecipeContext => ({
    recipe,
    origins: {},
    resume: false,
    signal: interrupt.signal,
    output: outputMode(false),
  });
  const sftRecipe = await loadBuiltRecipe("sft");
  const machine = { threads: options.threads ?? null, seed: options.seed, device: "cpu" };

  say("1. Data: the valley, its prose and its questions");
  const world = makeWorld(options.seed);
  const corpus = makeCorpus(world, { documents: CORPUS_DOCUMENTS, seed: options.seed });
  const instructions = makeInstructions(world, { rows: INSTRUCTION_ROWS, seed: options.seed });
  const preferences = makePreferences(world, instructions, { seed: options.seed });
  const folder = (name: string): string => join(out, name);
  mkdirSync(folder("data"), { recursive: true });
  const corpusFile = writeLines(
    folder("data/corpus.jsonl"),
    corpus.map(({ text }) => ({ text })),
  );
  const trainFile = writeLines(folder("data/train.jsonl"), instructions.train);
  const pairsFile = writeLines(folder("data/preferences.jsonl"), preferences.train);
  writeLines(folder("data/held-out.jsonl"), instructions.heldOut);
  writeLines(folder("data/pleas.jsonl"), preferences.pleas);
  const count = (rows: readonly unknown[]): string => rows.length.toLocaleString("en");
  say(
    `   ${count(corpus)} texts, ${count(instructions.train)} conversations, ${count(preferences.train)} pairs of answers, ${instructions.heldOut.length} held-out questions`,
  );

  say("\n2. A base model that reads the prose");
  const texts = [...corpus.slice(0, 4000).map(({ text }) => text), ...instructions.train.flatMap(contents)];
  await makeBlankModel(folder("blank"), texts, options.seed);
  const base = await train(
    sftRecipe,
    { ...BASE_SETTINGS, ...machine, model: folder("blank"), data: corpusFile, out: folder("base") },
    context("sft"),
  );
  if (base === undefined) return interrupted();

  say("\n3. Supervised fine-tuning on questions and answers");
  const tuned = await train(
    sftRecipe,
    { ...SFT_SETTINGS, ...machine, model: base, data: trainFile, out: folder("sft") },
    context("sft"),
  );
  if (tuned === undefined) return interrupted();

  say("\n4. Direct preference optimization on pairs of answers");
  const preferring = await train(
    await loadBuiltRecipe("dpo"),
    { ...DPO_SETTINGS, ...machine, model: tuned, data: pairsFile, out: folder("dpo") },
    context("dpo"),
  );
  if (preferring === undefined) return interrupted();

  say("\n5. All three answer questions that are in no training row");
  const ask = <Q extends Asked>(stage: Stage, model: string, questions: readonly Q[]) =>
    examine(STAGE_NAMES[stage], model, questions, context("demo"));
  const answers = {
    base: await ask("base", base, instructions.heldOut),
    sft: await ask("sft", tuned, instructions.heldOut),
    dpo: await ask("dpo", preferring, instructions.heldOut),
  };
  const pleas = {
    sft: await ask("sft", tuned, preferences.pleas),
    dpo: await ask("dpo", preferring, preferences.pleas),
  };
  if (interrupt.signal.aborted) return interrupted();
  const probes = clozeProbes(world);
  const completions = await continueTexts(
    base,
    probes.map(({ prompt }) => prompt),
    8,
  );
  const known = probes.filter(({ value }, i) => completions[i]!.trimStart().startsWith(value)).length;
  const openings = openingsOf(corpus, 4);
  const continued = await continueTexts(base, openings, 40);
  const prose = openings.map((opening, i) => ({ opening, continued: continued[i]! }));
  const comparison = compare(answers, pleas, known / probes.length, prose);
  say(`\n${comparisonText(comparison)}\n\n${examplesText(comparison, 4)}\n`);
  const report = folder("report.html");
  writeFileAtomic(
    report,
    demoReport(comparison, {
      base: await readRun(folder("base")),
      sft: await readRun(folder("sft")),
      dpo: await readRun(folder("dpo")),
    }),
  );
  say(`report  ${report}`);
  say(`model   ${preferring}`);
  say(`time    ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
}

function writeLines(path: string, records: readonly unknown[]): string {
  writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return path;
}

/** The first words of texts from different parts of the corpus. */
function openingsOf(corpus: readonly { text: string }[], count: number): string[] {
  const step = Math.floor(corpus.length / count);
  return Array.from({ length: count }, (_, i) => corpus[i * step]!.text.split(" ").slice(0, 4).join(" "));
}

function contents({ messages }: { messages: readonly { content: string }[] }): string[] {
  return messages.map(({ content }) => content);
}

function interrupted(): void {
  console.log("Interrupted; what was finished is in the output folder.");
  process.exitCode = 130;
}
