import type { Command } from "commander";
import { z } from "zod";
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { generateGreedy } from "../../generate/decode.js";
import { promptIds } from "../../generate/prompt-ids.js";
import { readPrompts } from "../../generate/read-prompts.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { nextTurn } from "../../run/interrupt.js";
import { checkOutputFile } from "../../run/output-file.js";
import { Progress } from "../../run/progress.js";
import { knob } from "../../settings/knob.js";
import { knobs } from "../../settings/knobs.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import { recipeCommand } from "../recipe-command.js";

const settings = z.strictObject({
  model: knobs.model,
  prompts: knob(z.string().min(1), {
    help: 'JSONL file: lines with "messages", to be answered, or "prompt", to be continued.',
    group: "Model and data",
    placeholder: "file",
  }),
  out: knob(z.string().min(1), {
    help: "JSONL file to write.",
    group: "Model and data",
    placeholder: "file",
  }),
  maxNewTokens: knobs.maxNewTokens,
  batchSize: knob(z.int().positive().default(16), {
    help: "Prompts decoded together.",
    group: "Batch and length",
  }),
  precision: knobs.precision,
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

export function command(): Command {
  return recipeCommand("generate", { settings, presets: {}, run }).description(
    "Continues prompts greedily. Writes one line per prompt, in order: id, prompt_ids, output_ids (without the end token), text, finish_reason (stop or length).",
  );
}

async function run(settings_: z.output<typeof settings>, context: RecipeContext): Promise<RunOutcome> {
  checkOutputFile(settings_.out, [settings_.prompts]);
  const prompts = await readPrompts(settings_.prompts);
  const machine = prepareMachine(settings_);
  const tokenizer = await loadTokenizer(settings_.model);
  using model = loadAdaptedModel(settings_.model, machine);
  checkVocabulary(tokenizer, model.config, settings_.model);
  const ids = await promptIds(prompts, tokenizer);

  using progress = new Progress({
    label: "generate",
    unit: "prompt",
    total: prompts.length,
    mode: context.output,
  });
  const lines: string[] = [];
  for (let at = 0; at < ids.length && !context.signal.aborted; at += settings_.batchSize) {
    const batch = ids.slice(at, at + settings_.batchSize);
    const decoded = await generateGreedy(model, batch, {
      ...settings_,
      signal: context.signal,
      onStep: nextTurn,
    });
    if (context.signal.aborted) break; // texts cut by Ctrl+C are not what the model would have said
    decoded.forEach(({ outputIds, finishReason }, i) => {
      lines.push(
        JSON.stringify({
          id: prompts[at + i]!.id,
          prompt_ids: Array.from(batch[i]!),
          output_ids: Array.from(outputIds),
          text: tokenizer.decode(outputIds),
          finish_reason: finishReason,
        }),
      );
    });
    progress.update(lines.length);
  }
  writeFileAtomic(settings_.out, lines.map((line) => `${line}\n`).join(""));
  return lines.length < prompts.length ? "interrupted" : "completed";
}
