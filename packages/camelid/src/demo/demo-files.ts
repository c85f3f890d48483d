import { makeCorpus } from "./corpus.js";
import { makeInstructions } from "./instructions.js";
import { makePreferences } from "./preferences.js";
import { jsonLines, rawFiles } from "./raw-formats.js";
import { makeWorld } from "./world.js";

/**
 * Everything the demo generates, as files: the prose, the training rows (unified and in raw formats), the held-out
 * questions and the preference pairs. `samples/valley` is this with small numbers; `scripts/make-samples.mjs` writes it.
 * @returns file name -> file text
 */
export function demoFiles(
  options: { documents?: number; rows?: number; pairs?: number; seed?: number } = {},
) {
  const { documents, rows, pairs, seed = 0 } = options;
  const world = makeWorld(seed);
  const corpus = makeCorpus(world, { seed, ...(documents !== undefined && { documents }) });
  const instructions = makeInstructions(world, { seed, ...(rows !== undefined && { rows }) });
  const preferences = makePreferences(world, instructions, { seed, ...(pairs !== undefined && { pairs }) });
  return new Map<string, string>([
    ["corpus.jsonl", jsonLines(corpus.map(({ text }) => ({ text })))],
    ["train.jsonl", jsonLines(instructions.train)],
    ["held-out.jsonl", jsonLines(instructions.heldOut)],
    ["preferences.jsonl", jsonLines(preferences.train)],
    ["pleas.jsonl", jsonLines(preferences.pleas)],
    ...rawFiles(instructions.train),
  ]);
}
