/**
 * Throughput and memory of the data quality steps, one thread, on generated conversations.
 *
 *   npm run build && node benchmarks/data-quality.mjs [--mb 300] [--steps near,exact] [--benchmarks DIR]
 *
 * Rows are made in batches outside the clock: sentences of a 50,000-word vocabulary with a long tail, drawn from 200,000,
 * 1.2 KB a row on average, every eighth row with accents, 3 % exact and 5 % near copies of earlier rows. MB are 10^6 bytes of UTF-8 message text. Decontamination
 * runs against the evaluation files in DIR, or against generated questions of about their number. Peak RSS is that of the
 * process so far, generator included: give one step to see its own.
 */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";

const compiled = new URL("../packages/camelid/dist/data/quality/", import.meta.url);
if (!existsSync(compiled)) throw new Error("run `npm run build` first");
const load = (name) => import(new URL(`${name}.js`, compiled).href);
const { KeywordFilter } = await load("keyword-filter");
const { ExactDeduplicator } = await load("exact-dedup");
const { NearDeduplicator } = await load("near-dedup");
const { Decontaminator } = await load("decontaminate");
const { readBenchmarkTexts } = await load("benchmark-texts");
const { DataStatistics } = await load("statistics");
const { HeldOutSplit } = await load("held-out");

const { values: flags } = parseArgs({
  options: {
    mb: { type: "string", default: "300" },
    steps: { type: "string" },
    benchmarks: { type: "string" },
  },
});
const targetBytes = Number(flags.mb) * 1e6;

const makers = {
  "keyword filter, substring": () => new KeywordFilter({ mode: "substring" }),
  "keyword filter, word": () => new KeywordFilter({ mode: "word" }),
  "exact dedup": () => new ExactDeduplicator(),
  "near dedup": () => new NearDeduplicator(),
  decontamination: () => new Decontaminator(benchmarkTexts()),
  statistics: () => new DataStatistics(),
  "held-out split": () => new HeldOutSplit({ fraction: 0.01 }),
};

console.log(`node ${process.version}, ${flags.mb} MB of text`);
console.log("step                        rows   process  MB/s   setup  finish   overall MB/s   peak RSS");
for (const [name, make] of Object.entries(makers)) {
  if (flags.steps && !flags.steps.split(",").some((wanted) => name.includes(wanted))) continue;
  measure(name, make);
}

function measure(name, make) {
  const setupStart = performance.now();
  const step = make();
  const setup = performance.now() - setupStart;
  const rows = rowGenerator(1);
  let bytes = 0;
  let count = 0;
  let processing = 0;
  while (bytes < targetBytes) {
    const batch = JSON.parse(JSON.stringify(Array.from({ length: 2000 }, rows))); // flat strings, as a reader gives
    for (const row of batch) for (const { content } of row.messages) bytes += Buffer.byteLength(content);
    count += batch.length;
    const start = performance.now();
    for (const row of batch) step.process(row);
    processing += performance.now() - start;
  }
  const finishStart = performance.now();
  const result = step.finish();
  const finish = performance.now() - finishStart;
  const rate = (ms) => (bytes / 1000 / ms).toFixed(0).padStart(5);
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`.padStart(8);
  const rss = `${(process.resourceUsage().maxRSS / 1e3).toFixed(0)} MB`.padStart(11);
  console.log(
    `${name.padEnd(26)}${String(count).padStart(8)} ${seconds(processing)} ${rate(processing)}${seconds(setup)}${seconds(finish)}` +
      `   ${rate(processing + finish).padStart(12)}${rss}   ${outcome(result.summary ?? result)}`,
  );
}

/** A figure that shows the step did its work. */
function outcome(summary) {
  if ("contaminated" in summary) return `${summary.contaminated} contaminated`;
  if ("heldOut" in summary) return `${summary.heldOut} held out`;
  if ("removed" in summary) return `${summary.removed} removed`;
  return `${Object.keys(summary).length} sources`;
}

function rowGenerator(seed) {
  const random = generator(seed);
  const vocabulary = Array.from({ length: 50_000 }, () => word(random));
  const recent = [];
  let made = 0;
  const words = (count) =>
    Array.from({ length: count }, () => vocabulary[Math.floor(random() ** 4 * 50_000)]).join(" ");
  const sentences = Array.from({ length: 200_000 }, () => `${words(6 + Math.floor(random() * 14))}. `);
  const text = (count) => {
    let out = "";
    for (let i = 0; i < count; i++) out += sentences[Math.floor(random() * sentences.length)];
    return out;
  };
  return () => {
    const id = `row_${made++}`;
    const dataset = `source_${made % 8}`;
    const kind = random();
    if (recent.length > 0 && kind < 0.08) {
      const [prompt, answer] = recent[Math.floor(random() * recent.length)];
      const changed = kind < 0.03 ? answer : `${answer}${words(2)}`;
      return conversation(dataset, id, prompt, changed);
    }
    let prompt = text(1 + Math.floor(random() * 3));
    if (made % 8 === 0) prompt += " où naïve café — größer";
    const answer = text(2 + Math.floor(random() ** 2 * 36));
    if (recent.length < 5000) recent.push([prompt, answer]);
    else recent[made % 5000] = [prompt, answer];
    return conversation(dataset, id, prompt, answer);
  };
}

function conversation(dataset, id, prompt, answer) {
  return {
    dataset,
    id,
    messages: [
      { role: "user", content: prompt },
      { role: "assistant", content: answer },
    ],
  };
}

function benchmarkTexts() {
  if (flags.benchmarks) return readBenchmarkTexts(flags.benchmarks).texts;
  const rows = rowGenerator(2);
  return Array.from({ length: 27_000 }, (_, i) => ({
    benchmark: "generated",
    id: String(i),
    text: rows().messages[0].content,
  }));
}

function word(random) {
  const letters = "etaoinshrdlucmfwypvbgkjqxz";
  let out = "";
  for (let length = 2 + Math.floor(random() * 8); length > 0; length--)
    out += letters[Math.floor(random() ** 2 * 26)];
  return out;
}

/** Uniform numbers in [0, 1), the same on every machine (xorshift32). */
function generator(seed) {
  let state = seed * 0x9e3779b1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
