/**
 * A data mixture of one's own: the list below is the mixture. Copy it (`camelid copy mix ./my-mix.ts`), put your files
 * in the list, run it with `camelid run ./my-mix.ts --model base --data raw --out mixes/first`. The same as YAML, and what
 * every switch means: docs/guides/mixing.md. The mixtures of the papers are `camelid mix --preset tulu2`.
 */
import { defineMixture, knobs, mixData, Progress, type RecipeContext, type RunOutcome } from "camelid";
import { z } from "zod";

export const settings = z.strictObject({
  model: knobs.model,
  data: knobs.data,
  out: knobs.out,
  seed: knobs.seed,
});
export const presets = { default: () => ({ seed: 42 }) };

type MixSettings = z.output<typeof settings>;

export async function run(settings: MixSettings, context: RecipeContext): Promise<RunOutcome> {
  // 1. The mixture: what there is, and how much of each. Files are relative to `data`.
  const mixture = defineMixture(
    {
      name: "first-mix",
      seed: settings.seed,
      sources: [
        { name: "conversations", files: "conversations.jsonl", weight: 3 },
        {
          name: "questions",
          files: "questions.csv",
          columns: { prompt: "question", completion: "answer" },
          weight: 1,
        },
        { name: "identity", files: "identity.jsonl", repeat: 10, exempt: true },
      ],
      total: { trainedTokens: 2_000_000 }, // what is learned from, not rows: long answers would crowd out short ones
      filter: "word",
      dedup: { exact: true, near: { threshold: 0.8 } },
      heldOut: 0.01,
    },
    settings.data,
  );

  // 2. Raw files -> conversations -> filters -> train.jsonl, with the books of every row.
  using progress = new Progress({ label: "mix", unit: "row", mode: context.output });
  const { totals } = await mixData(mixture, {
    out: settings.out,
    tokenizer: settings.model,
    onBad: "stop",
    allowFewer: false,
    threads: 2,
    onProgress: ({ source, rows }) => progress.update(rows, { source }),
  });
  progress.end();
  process.stdout.write(`${settings.out}: ${totals.written} rows, ${totals.trainedTokens} trained tokens\n`);
  return "completed";
}
