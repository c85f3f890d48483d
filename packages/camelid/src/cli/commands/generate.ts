import type { Command } from "commander";
import { z } from "zod";
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { generateOnce } from "../../generate/generate-once.js";
import { promptIds } from "../../generate/prompt-ids.js";
import { type Prompt, readPrompts } from "../../generate/read-prompts.js";
import type { Generation } from "../../generate/requests.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { checkOutputFile } from "../../run/output-file.js";
import { Progress } from "../../run/progress.js";
import { knob } from "../../settings/knob.js";
import { linesFile } from "../../settings/knob-groups.js";
import { knobs, quantizeKnobs } from "../../settings/knobs.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import { recipeCommand } from "../recipe-command.js";

const sampling = "Sampling";

const settings = z.strictObject({
  model: knobs.model,
  prompts: knob(z.string().min(1), {
    help: 'JSONL file: lines with "messages", to be answered, or "prompt", to be continued.',
    group: "Model and data",
    placeholder: "file",
  }),
  out: linesFile,
  maxNewTokens: knobs.maxNewTokens,
  batchSize: knob(z.int().positive().default(32), {
    help: "Most texts written at the same time.",
    group: "Batch and length",
  }),
  kvCacheBytes: knob(z.int().positive().nullable().default(null), {
    help: "Most bytes for keys and values; texts wait while it is full. None: 1 GiB, or one text of the model's whole context.",
    group: "Batch and length",
    placeholder: "bytes",
  }),
  temperature: knob(z.number().min(0).default(0), {
    help: "0 takes the most likely token each time, 1 draws from the model's own distribution.",
    group: sampling,
  }),
  topP: knob(z.number().positive().max(1).default(1), {
    help: "Draw among the most likely tokens that together reach this probability.",
    group: sampling,
    alsoKnownAs: ["top_p", "nucleus"],
  }),
  topK: knob(z.int().positive().nullable().default(null), {
    help: "Draw among so many most likely tokens.",
    group: sampling,
    alsoKnownAs: ["top_k"],
  }),
  samples: knob(z.int().positive().default(1), {
    help: "Texts for each prompt, a line each, with their number in the field sample.",
    group: sampling,
    alsoKnownAs: ["n", "num_return_sequences"],
  }),
  stop: knob(z.array(z.string().min(1)).min(1).nullable().default(null), {
    help: 'Texts that end an answer and are no part of it; with spaces, commas or line ends as JSON: ["\\n\\n"].',
    group: sampling,
    alsoKnownAs: ["stop_strings", "stop_sequences"],
  }),
  precision: knobs.precision,
  quantize: quantizeKnobs.nullable().default(null),
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

export function command(): Command {
  return recipeCommand("generate", { settings, presets: {}, run }).description(
    "Continues prompts, greedily unless told otherwise. Writes one line per prompt, in order: id, prompt_ids, output_ids (without the end token), text, finish_reason (stop or length).",
  );
}

async function run(settings_: z.output<typeof settings>, context: RecipeContext): Promise<RunOutcome> {
  checkOutputFile(settings_.out, [settings_.prompts]);
  const prompts = await readPrompts(settings_.prompts);
  const machine = prepareMachine(settings_);
  const tokenizer = await loadTokenizer(settings_.model);
  const { quantize } = settings_;
  using model = loadAdaptedModel(settings_.model, { ...machine, quantize });
  checkVocabulary(tokenizer, model.config, settings_.model);
  const ids = await promptIds(prompts, tokenizer);

  using progress = new Progress({
    label: "generate",
    unit: "prompt",
    total: prompts.length,
    mode: context.output,
  });
  const { maxNewTokens, temperature, topP, topK, seed, samples, stop, batchSize, kvCacheBytes } = settings_;
  const decoding = {
    maxNewTokens,
    temperature,
    topP,
    seed,
    samples,
    ...(topK && { topK }),
    ...(stop && { stop }),
  };
  const generations = await generateOnce(
    model,
    tokenizer,
    ids.map((promptIds_) => ({ promptIds: promptIds_, ...decoding })),
    {
      settings: { maxSequences: batchSize, ...(kvCacheBytes && { kvCacheBytes }) },
      signal: context.signal,
      onProgress: ({ done }) => progress.update(done),
    },
  );
  // Texts cut by Ctrl+C are not what the model would have said.
  const finished = prompts.flatMap((prompt, i) => {
    const texts = generations[i]!;
    const isWhole = texts.every(({ finishReason }) => finishReason !== "cancelled");
    return isWhole ? [linesOf(prompt, ids[i]!, texts)] : [];
  });
  writeFileAtomic(settings_.out, finished.flat().join(""));
  return finished.length < prompts.length ? "interrupted" : "completed";
}

function linesOf({ id }: Prompt, prompt: ArrayLike<number>, texts: readonly Generation[]): string[] {
  return texts.map(({ outputIds, text, finishReason }, sample) => {
    const line = {
      id,
      ...(texts.length > 1 && { sample }),
      prompt_ids: Array.from(prompt),
      output_ids: Array.from(outputIds),
      text,
      finish_reason: finishReason,
    };
    return `${JSON.stringify(line)}\n`;
  });
}
