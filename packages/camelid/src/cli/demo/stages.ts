/** The stages of the demo: each takes folders and gives folders, through the same doors that users go through. */
import { join } from "node:path";
import * as torch from "@camelid/torch";
import type { Message } from "../../data/conversation.js";
import { renderPrompts } from "../../data/render.js";
import { type Expectation, judge, type Verdict } from "../../demo/scoring.js";
import { generateOnce } from "../../generate/generate-once.js";
import { initModel, loadModel } from "../../model/load.js";
import { saveModel } from "../../model/save.js";
import { Progress } from "../../run/progress.js";
import type { Recipe, RecipeContext } from "../../settings/recipe.js";
import { trainByteLevelBpe } from "../../tokenizer/bpe-trainer.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { writeTokenizerFolder } from "../../tokenizer/write-tokenizer.js";
import { DEMO_VOCABULARY, demoModel, MAX_ANSWER_TOKENS } from "./plan.js";

/** A model folder that knows nothing yet: tokenizer from the texts, random weights. */
export async function makeBlankModel(folder: string, texts: Iterable<string>, seed: number): Promise<void> {
  const trained = trainByteLevelBpe(texts, { vocabSize: DEMO_VOCABULARY, specialTokens: ["<s>", "</s>"] });
  await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>" });
  const { vocabSize } = await loadTokenizer(folder);
  torch.manualSeed(seed);
  using model = initModel(demoModel(vocabSize));
  saveModel(model, folder);
}

/** Runs a recipe as its command would. @returns the trained model's folder; undefined when interrupted */
export async function train(
  recipe: Recipe,
  settings: Record<string, unknown>,
  context: RecipeContext,
): Promise<string | undefined> {
  const outcome = await recipe.run(recipe.settings.parse(settings), context);
  return outcome === "completed" ? join(String(settings.out), "final") : undefined;
}

/** What can be asked and judged. */
export interface Asked {
  readonly messages: readonly Message[];
  readonly expected: Expectation;
}

export interface Answer<Q extends Asked> {
  question: Q;
  output: string;
  verdict: Verdict;
}

/** Asks a model questions in the chat format and judges what it says. */
export async function examine<Q extends Asked>(
  label: string,
  folder: string,
  questions: readonly Q[],
  context: Pick<RecipeContext, "signal" | "output">,
): Promise<Answer<Q>[]> {
  const tokenizer = await loadTokenizer(folder);
  using model = loadModel(folder, { dtype: "float32" });
  const prompts = await renderPrompts(
    questions.map(({ messages }) => messages),
    tokenizer,
  );
  using progress = new Progress({ label, unit: "answer", total: prompts.length, mode: context.output });
  const answers: Answer<Q>[] = [];
  const requests = prompts.map((ids) => ({ promptIds: ids, maxNewTokens: MAX_ANSWER_TOKENS }));
  const generations = await generateOnce(model, tokenizer, requests, {
    signal: context.signal,
    onProgress: ({ done }) => progress.update(done),
  });
  for (const [i, [generation]] of generations.entries()) {
    const { text: output, finishReason } = generation!;
    if (finishReason === "cancelled") continue;
    const question = questions[i]!;
    answers.push({ question, output, verdict: judge(question.expected, output, finishReason) });
  }
  return answers;
}

/** How a base model shows what it knows: it carries on with a text. */
export async function continueTexts(
  folder: string,
  texts: readonly string[],
  maxNewTokens: number,
): Promise<string[]> {
  const tokenizer = await loadTokenizer(folder);
  using model = loadModel(folder, { dtype: "float32" });
  const encoded = await tokenizer.encodeBatch(texts);
  const bos = tokenizer.bosTokenId === undefined ? [] : [tokenizer.bosTokenId];
  const prompts = encoded.map((ids) => [...bos, ...ids]);
  const requests = prompts.map((ids) => ({ promptIds: ids, maxNewTokens }));
  return (await generateOnce(model, tokenizer, requests)).map(([generation]) => generation!.text);
}
