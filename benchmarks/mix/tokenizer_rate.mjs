/**
 * What the tokenizer library alone needs for the texts that `camelid mix --tokenizer` tokenises: every ShareGPT turn
 * (to split), then every written conversation (to count). Batches of 512, two threads, ids thrown away.
 *
 *     RAYON_NUM_THREADS=2 taskset -c 0,1 node benchmarks/mix/tokenizer_rate.mjs TOKENIZER_DIR RAW MIX_OUT
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import tokenizers from "tokenizers";

const [folder, raw, mixed] = process.argv.slice(2);
const tokenizer = tokenizers.Tokenizer.fromFile(join(folder, "tokenizer.json"));
const texts = [1, 2].flatMap((part) => {
  const rows = JSON.parse(readFileSync(join(raw, `sharegpt/sg_90k_part${part}_html_cleaned.json`), "utf8"));
  return rows.flatMap((row) => row.conversations.map((turn) => turn.value));
});
const lines = readFileSync(join(mixed, "train.jsonl"), "utf8").split("\n").slice(0, -1);
const removed = readFileSync(join(mixed, "removed.jsonl"), "utf8").split("\n").slice(0, -1);
for (const line of [...lines, ...removed]) {
  for (const { role, content } of JSON.parse(line).messages) texts.push(`<|${role}|>\n${content.trim()}\n`);
}
const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
const started = performance.now();
const cpu = process.cpuUsage();
for (let i = 0; i < texts.length; i += 512) {
  await tokenizer.encodeBatch(texts.slice(i, i + 512), { addSpecialTokens: false });
}
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(
  `${JSON.stringify({ mb: Math.round(bytes / 1e6), seconds: +seconds.toFixed(1), mb_per_second: +(bytes / 1e6 / seconds).toFixed(2), cpu_seconds: +((user + system) / 1e6).toFixed(1) })}\n`,
);
