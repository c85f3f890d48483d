// Rows a second of the renderer (layout + tokens + labels) beside the tokenizer library alone on the same texts and
// threads, in turn. Needs a build.
//
//   RAYON_NUM_THREADS=4 node benchmarks/render.mjs --data rows.jsonl --model FOLDER [--rounds 5]
import { join } from "node:path";
import { parseArgs } from "node:util";
import tokenizers from "tokenizers";
import { readConversations } from "../packages/camelid/dist/data/read-conversations.js";
import { renderConversations, renderSegments } from "../packages/camelid/dist/data/render.js";
import { loadTokenizer } from "../packages/camelid/dist/tokenizer/tokenizer.js";

const { values } = parseArgs({
  options: { data: { type: "string" }, model: { type: "string" }, rounds: { type: "string", default: "5" } },
});
const tokenizer = await loadTokenizer(values.model);
const library = tokenizers.Tokenizer.fromFile(join(values.model, "tokenizer.json"));
const { rows } = await readConversations(values.data, { onBad: "skip" });
const texts = rows.map(({ messages }) =>
  renderSegments(messages, tokenizer)
    .map(({ text }) => text)
    .join(""),
);
const BATCH = 256;

/** Two batches in flight, as the renderer has; ids are taken out, because a trainer needs them. */
async function libraryAlone() {
  let before = Promise.resolve([]);
  for (let start = 0; start <= texts.length; start += BATCH) {
    const job = library.encodeBatch(texts.slice(start, start + BATCH), { addSpecialTokens: false });
    for (const encoding of await before) encoding.getIds();
    before = job;
  }
  for (const encoding of await before) encoding.getIds();
}

async function rowsPerSecond(work) {
  const started = performance.now();
  await work();
  return rows.length / ((performance.now() - started) / 1000);
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const alone = [];
const ours = [];
await renderConversations(rows.slice(0, 1000), tokenizer);
for (let round = 0; round < Number(values.rounds); round++) {
  alone.push(await rowsPerSecond(libraryAlone));
  ours.push(await rowsPerSecond(() => renderConversations(rows, tokenizer)));
}
const shares = alone.map((each, round) => ours[round] / each);
console.log(
  `${rows.length} rows, ${texts.reduce((sum, text) => sum + text.length, 0)} characters, medians of ${values.rounds}`,
);
console.log(`library alone ${median(alone).toFixed(0)} rows/s, renderer ${median(ours).toFixed(0)} rows/s`);
console.log(
  `share of the library's speed ${median(shares).toFixed(2)} (${shares.map((s) => s.toFixed(2)).join(", ")})`,
);
