// render_rows.mjs library|camelid MODEL ROWS: template, tokens and labels of all rows, or only the tokenizer library on the same
// texts, with as many batches ahead. One pass over the first rows is not timed: both fill the library's cache of words.
import { join } from "node:path";
import tokenizers from "tokenizers";
import { readConversations } from "../../packages/camelid/dist/data/read-conversations.js";
import { renderConversations, renderSegments } from "../../packages/camelid/dist/data/render.js";
import { loadTokenizer } from "../../packages/camelid/dist/tokenizer/tokenizer.js";

const [contestant, folder, data] = process.argv.slice(2);
const WARM_UP = 2000;
const BATCH = 256;
const AHEAD = 3;

const tokenizer = await loadTokenizer(folder);
const native = tokenizers.Tokenizer.fromFile(join(folder, "tokenizer.json"));
const { rows } = await readConversations(data, { onBad: "skip" });

/** Ids are taken out, because a trainer needs them. @returns number of tokens */
async function library(texts) {
  const jobs = [];
  let tokens = 0;
  const take = async (job) => {
    for (const encoding of await job) tokens += encoding.getIds().length;
  };
  for (let start = 0; start < texts.length; start += BATCH) {
    if (jobs.length === AHEAD) await take(jobs.shift());
    jobs.push(native.encodeBatch(texts.slice(start, start + BATCH), { addSpecialTokens: false }));
  }
  for (const job of jobs) await take(job);
  return tokens;
}

async function camelid(conversations) {
  const rendered = await renderConversations(conversations, tokenizer);
  return rendered.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
}

const asText = ({ messages }) =>
  renderSegments(messages, tokenizer)
    .map(({ text }) => text)
    .join("");
const [work, input] = contestant === "library" ? [library, rows.map(asText)] : [camelid, rows];
await work(input.slice(0, WARM_UP));
const cpu = process.cpuUsage();
const started = performance.now();
const tokens = await work(input);
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ rows: rows.length, tokens, seconds, cpuSeconds: (user + system) / 1e6 }));
