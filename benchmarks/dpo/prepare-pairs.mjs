import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTokenizer, readPairRows, readPreferences } from "../../packages/camelid/dist/index.js";
import { makeModel } from "../sft/make-model.mjs";

const SIZES = {
  "41m": { hidden: 512, intermediate: 1376, layers: 8, heads: 8 },
  tiny: { hidden: 64, intermediate: 128, layers: 2, heads: 2 },
};

/**
 * A tokenizer and a model, and as many pairs as are needed, whose sides are short enough for everybody.
 * @returns the folder of the model, the file of pairs, their number, and their tokens with prompts counted twice
 */
export async function preparePairs(work, { data, size, count, maxTokens }) {
  const { rows } = await readPreferences(data, { onBad: "skip" });
  const texts = rows.flatMap(({ chosen, rejected }) => [chosen, rejected]).map((messages) => ({ messages }));
  const model = join(work, "model");
  await makeModel(model, texts.map((row) => JSON.stringify(row)).join("\n"), SIZES[size]);
  const tokenizer = await loadTokenizer(model);
  const read = await readPairRows(data, tokenizer, { onBad: "skip" });
  const byPlace = new Map(rows.map((row) => [row.origin.line - 1, row]));
  const fitting = read.pairs
    .filter(({ chosen, rejected }) => Math.max(chosen.inputIds.length, rejected.inputIds.length) <= maxTokens)
    .slice(0, count);
  if (fitting.length < count) throw new Error(`${count} pairs are needed, ${fitting.length} fit`);
  const pairs = join(work, "pairs.jsonl");
  const lines = fitting.map(({ place, id }) => {
    const { chosen, rejected } = byPlace.get(place);
    return JSON.stringify({
      id,
      prompt: chosen.slice(0, -1),
      chosen: chosen.slice(-1),
      rejected: rejected.slice(-1),
    });
  });
  writeFileSync(pairs, `${lines.join("\n")}\n`);
  const tokens = fitting.reduce(
    (sum, { chosen, rejected }) => sum + chosen.inputIds.length + rejected.inputIds.length,
    0,
  );
  return { model, pairs, count, tokens };
}
