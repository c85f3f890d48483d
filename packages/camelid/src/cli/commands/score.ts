import type { Command } from "commander";
import { z } from "zod";
import { loadTrainedReward } from "../../adapters/load-adapted.js";
import { type RowsToScore, readRowsToScore } from "../../data/rows-to-score.js";
import { wilson } from "../../eval/statistics.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import type { RewardModel } from "../../model/reward-model.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { checkOutputFile } from "../../run/output-file.js";
import { Progress } from "../../run/progress.js";
import { knob } from "../../settings/knob.js";
import { linesFile } from "../../settings/knob-groups.js";
import { knobs, quantizeKnobs } from "../../settings/knobs.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import { scorePairs, scoreRows } from "../../train/pair-scores.js";
import { type JudgedPair, type PairSummary, summarisePairs } from "../../train/score-summary.js";
import { recipeCommand } from "../recipe-command.js";
import { textTable } from "../show/text-table.js";

const settings = z.strictObject({
  model: knob(z.string().min(1), {
    help: "Reward model: the final folder of `camelid reward` (a model or an adapter), or a classifier with one label.",
    group: "Model and data",
    placeholder: "folder",
  }),
  data: knob(z.string().min(1), {
    help: "Preference pairs, or conversations that end with an answer: JSON lines or one array.",
    group: "Model and data",
    placeholder: "file",
  }),
  out: linesFile,
  onBad: knobs.onBad,
  maxSeqLen: knob(z.int().positive().nullable().default(null), {
    help: "Longest text in tokens; a longer one cannot be judged. None: what the model was made for.",
    group: "Batch and length",
  }),
  microBatchSize: knobs.microBatchSize.default(8),
  sharePrompts: knobs.sharePrompts,
  tokenVariant: knobs.tokenVariant,
  specialTokensInContent: knobs.specialTokensInContent,
  precision: knobs.precision,
  quantize: quantizeKnobs.nullable().default(null),
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

type Settings = z.output<typeof settings>;

export function command(): Command {
  return recipeCommand("score", { settings, presets: {}, run }).description(
    "Judges answers with a reward model. Writes one line per row, in order: id, dataset, subset where the row has one, and score; of a pair chosen, rejected, margin, correct (the chosen one has the higher score). Ends with the accuracy on pairs, and by subset.",
  );
}

async function run(settings_: Settings, context: RecipeContext): Promise<RunOutcome> {
  checkOutputFile(settings_.out, [settings_.data]);
  const machine = prepareMachine(settings_);
  const { quantize } = settings_;
  using model = loadTrainedReward(settings_.model, { ...machine, quantize });
  const { config } = model.decoder;
  const tokenizer = await loadTokenizer(settings_.model);
  checkVocabulary(tokenizer, config, settings_.model);
  const maxSeqLen = Math.min(settings_.maxSeqLen ?? Number.POSITIVE_INFINITY, config.maxPositionEmbeddings);
  const data = await readRowsToScore(settings_.data, tokenizer, { ...settings_, maxSeqLen });

  const { kind } = data;
  const total = data.rows.length;
  const unit = kind === "pairs" ? "pair" : "row";
  using progress = new Progress({ label: "score", unit, total, mode: context.output });
  const { length: left } = data.skipped;
  if (left > 0)
    progress.print(
      `${left} row${left === 1 ? " is" : "s are"} left out; the first:\n${data.skipped[0]!.format()}`,
    );
  const scored: Scored[] = [];
  for (const part of parts(data)) {
    if (context.signal.aborted) break;
    scored.push(...(await scorePart(model, part, settings_)));
    progress.update(scored.length);
  }
  writeFileAtomic(settings_.out, scored.map((line) => `${JSON.stringify(line)}\n`).join(""));
  progress.end();
  if (scored.length < total) {
    progress.print(`stopped: ${settings_.out} has the first ${scored.length} of ${total} ${unit}s`);
    return "interrupted";
  }
  progress.print(closing(scored));
  return "completed";
}

/** A line of the output. */
type Scored = { id: string; dataset: string; subset?: string } & (
  | { score: number }
  | { chosen: number; rejected: number; margin: number; correct: boolean }
);

/** Rows between two looks at progress and at Ctrl+C; packing looks at all of a part at once. */
const PART = 128;

function* parts(data: RowsToScore): Generator<RowsToScore> {
  for (let at = 0; at < data.rows.length; at += PART)
    yield { ...data, rows: data.rows.slice(at, at + PART) } as RowsToScore;
}

async function scorePart(model: RewardModel, part: RowsToScore, settings_: Settings): Promise<Scored[]> {
  const { microBatchSize, sharePrompts } = settings_;
  const named = ({ id, dataset, subset }: (typeof part.rows)[number]) => ({
    ...{ id, dataset },
    ...(subset === undefined ? {} : { subset }),
  });
  // The budget of tokens in a pass comes from the texts at hand, not from what the model could take.
  if (part.kind === "answers") {
    const maxSeqLen = Math.max(...part.rows.map(({ inputIds }) => inputIds.length));
    const scores = await scoreRows(model, part.rows, { microBatchSize, maxSeqLen, packing: true });
    return part.rows.map((row, i) => ({ ...named(row), score: scores[i]! }));
  }
  const sides = part.rows.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const maxSeqLen = Math.max(...sides.map(({ inputIds }) => inputIds.length));
  const plan = { microBatchSize, maxSeqLen, packing: true, sharePrompts };
  const scores = await scorePairs(model, part.rows, plan);
  return part.rows.map((row, i) => {
    const { chosen, rejected } = scores[i]!;
    return { ...named(row), chosen, rejected, margin: chosen - rejected, correct: chosen > rejected };
  });
}

/** What people read at the end, in lines of at most 80 columns. */
function closing(scored: readonly Scored[]): string {
  const pairs = scored.flatMap((one): JudgedPair[] =>
    "score" in one ? [] : [{ subset: one.subset, chosen: one.chosen, rejected: one.rejected }],
  );
  if (pairs.length === 0) return describeScores(scored.flatMap((one) => ("score" in one ? [one.score] : [])));
  const { all, subsets } = summarisePairs(pairs);
  const names = ["subset", "pairs", "right", "95 %", "margin"];
  const rows = Object.entries(subsets).map(([name, one]) => [name.slice(0, 36), ...cells(one)]);
  return textTable(names, [...rows, ["all", ...cells(all)]]);
}

function cells({ pairs, accuracy, margin }: PairSummary): string[] {
  const percent = (share: number): string => (100 * share).toFixed(1);
  const [low, high] = wilson(accuracy * pairs, pairs);
  return [
    pairs.toLocaleString("en"),
    `${percent(accuracy)} %`,
    `${percent(low)} - ${percent(high)}`,
    margin.toFixed(3),
  ];
}

function describeScores(scores: readonly number[]): string {
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  return `${scores.length.toLocaleString("en")} answers: mean score ${mean.toFixed(3)}, from ${low.toFixed(3)} to ${high.toFixed(3)}`;
}
