import type { Command } from "commander";
import { z } from "zod";
import { loadAdaptedModel } from "../../adapters/load-adapted.js";
import { readConversations } from "../../data/read-conversations.js";
import { renderConversations } from "../../data/render.js";
import { rowLogprobs } from "../../eval/row-logprobs.js";
import { checkVocabulary } from "../../model/check-vocabulary.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import { nextTurn } from "../../run/interrupt.js";
import { checkOutputFile } from "../../run/output-file.js";
import { Progress } from "../../run/progress.js";
import { linesFile } from "../../settings/knob-groups.js";
import { knobs, quantizeKnobs } from "../../settings/knobs.js";
import type { RecipeContext, RunOutcome } from "../../settings/recipe.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { prepareMachine } from "../../train/machine.js";
import { recipeCommand } from "../recipe-command.js";

const settings = z.strictObject({
  model: knobs.model,
  data: knobs.data,
  out: linesFile,
  onBad: knobs.onBad,
  maxSeqLen: knobs.maxSeqLen,
  microBatchSize: knobs.microBatchSize,
  tokenVariant: knobs.tokenVariant,
  specialTokensInContent: knobs.specialTokensInContent,
  precision: knobs.precision,
  quantize: quantizeKnobs.nullable().default(null),
  device: knobs.device,
  threads: knobs.threads,
  seed: knobs.seed,
});

export function command(): Command {
  return recipeCommand("logprobs", { settings, presets: {}, run }).description(
    "Log-probability of every token of every row. Writes one line per row, in order: id, input_ids (n), labels (n, -100 where not trained), token_logps (n - 1, in nats: entry t is log p of input_ids[t+1]), loss (mean over the trained tokens; null without any).",
  );
}

async function run(settings_: z.output<typeof settings>, context: RecipeContext): Promise<RunOutcome> {
  checkOutputFile(settings_.out, [settings_.data]);
  const machine = prepareMachine(settings_);
  const tokenizer = await loadTokenizer(settings_.model);
  const { rows } = await readConversations(settings_.data, settings_);
  const rendered = await renderConversations(rows, tokenizer, settings_);
  const { quantize } = settings_;
  using model = loadAdaptedModel(settings_.model, { ...machine, quantize });
  checkVocabulary(tokenizer, model.config, settings_.model);

  using progress = new Progress({ label: "logprobs", unit: "row", total: rows.length, mode: context.output });
  const lines: string[] = [];
  for (let at = 0; at < rendered.length && !context.signal.aborted; at += settings_.microBatchSize) {
    const batch = rendered.slice(at, at + settings_.microBatchSize);
    rowLogprobs(model, batch).forEach(({ tokenLogps, loss }, i) => {
      const { id, inputIds, labels } = batch[i]!;
      lines.push(
        JSON.stringify({
          id,
          input_ids: Array.from(inputIds),
          labels: Array.from(labels),
          token_logps: Array.from(tokenLogps),
          loss: Number.isNaN(loss) ? null : loss,
        }),
      );
    });
    progress.update(lines.length);
    await nextTurn();
  }
  writeFileAtomic(settings_.out, lines.map((line) => `${line}\n`).join(""));
  return lines.length < rows.length ? "interrupted" : "completed";
}
