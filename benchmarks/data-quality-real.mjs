/**
 * What the data quality steps find in real instruction files: the tables of docs/results/data-quality.md.
 *
 *   npm run build && node benchmarks/data-quality-real.mjs DATA
 *
 * DATA is a folder of published files in their raw formats (tests/shared-data.ts says where the tests look for it).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

const folder = process.argv[2];
if (!folder) throw new Error("usage: node benchmarks/data-quality-real.mjs DATA");
const load = (name) =>
  import(new URL(`../packages/camelid/dist/data/quality/${name}.js`, import.meta.url).href);
const { KeywordFilter } = await load("keyword-filter");
const { ExactDeduplicator } = await load("exact-dedup");
const { NearDeduplicator } = await load("near-dedup");
const { Decontaminator } = await load("decontaminate");
const { readBenchmarkTexts } = await load("benchmark-texts");
const { DataStatistics } = await load("statistics");
const { LanguageGuesser } = await load("language-guess");

const rows = readRows();
const run = (step, some = rows) => {
  for (const row of some) step.process(row);
  return step.finish();
};
console.log(`${rows.length} rows`);

for (const mode of ["substring", "word"]) {
  const { removed, perKeyword } = run(new KeywordFilter({ mode }));
  console.log(`\nkeyword filter, ${mode}: ${removed} rows`, JSON.stringify(perKeyword));
}
for (const key of ["conversation", "first-prompt"]) {
  const { removed, pairs } = run(new ExactDeduplicator({ key }));
  console.log(`\nexact duplicates by ${key}: ${removed} rows`);
  console.table(pairs.slice(0, 8));
}
const near = run(new NearDeduplicator());
console.log(`\nnear duplicates: ${near.summary.removed} rows, clusters`, near.summary.clusters);
console.table(near.summary.pairs.slice(0, 8));

const contamination = run(new Decontaminator(readBenchmarkTexts(folder).texts));
console.log(`\ncontaminated: ${contamination.contaminated} rows`);
console.table(contamination.perBenchmark);
console.table(
  Object.fromEntries(
    Object.entries(contamination.perSource).map(([source, { rows, contaminated, benchmarks }]) => [
      source,
      { rows, contaminated, benchmarks: JSON.stringify(benchmarks) },
    ]),
  ),
);
const statistics = run(new DataStatistics());
console.table(
  Object.fromEntries(
    Object.entries(statistics).map(([source, { rows, chars, words, turns, languages }]) => [
      source,
      {
        ...{ rows, "chars p50": chars.p50, "chars p95": chars.p95, "words mean": Math.round(words.mean) },
        ...{ "turns max": turns.max, languages: JSON.stringify(languages).slice(0, 60) },
      },
    ]),
  ),
);

console.log("\nlanguage guess on TyDiQA dev, right / undetermined / wrong in %");
console.table(languageAccuracy());

function languageAccuracy() {
  const codes = { arabic: "ar", bengali: "bn", english: "en", finnish: "fi", indonesian: "id" };
  Object.assign(codes, { korean: "ko", russian: "ru", swahili: "sw", telugu: "te" });
  const guesser = new LanguageGuesser();
  const tally = {};
  for (const { paragraphs } of json("tydiqa/tydiqa-goldp-v1.1-dev.json.gz").data) {
    for (const { context, qas } of paragraphs) {
      for (const { id, question } of qas) {
        const language = id.split("-")[0];
        tally[language] ??= { items: 0, questions: [0, 0, 0], passages: [0, 0, 0] };
        tally[language].items++;
        for (const [kind, text] of Object.entries({ questions: question, passages: context })) {
          const guess = guesser.guess(text);
          tally[language][kind][guess === codes[language] ? 0 : guess === "und" ? 1 : 2]++;
        }
      }
    }
  }
  const percent = (counts, items) => counts.map((count) => ((100 * count) / items).toFixed(1)).join(" / ");
  return Object.fromEntries(
    Object.entries(tally).map(([language, { items, questions, passages }]) => [
      language,
      { items, questions: percent(questions, items), passages: percent(passages, items) },
    ]),
  );
}

function readRows() {
  const all = [];
  const add = (dataset, ...turns) =>
    all.push({
      dataset,
      id: `${dataset}_${all.length}`,
      messages: turns.map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content })),
    });
  const instruction = (dataset, { instruction, input, output }) =>
    add(dataset, input ? `${instruction}\n\n${input}` : instruction, output);
  for (const row of json("stanford_alpaca/alpaca_random_9k.json.gz")) instruction("alpaca_9k", row);
  for (const row of json("stanford_alpaca/alpagasus_claude_t45.json.gz")) instruction("alpagasus", row);
  for (const row of json("stanford_alpaca/cherry_alpaca_5_percent.json.gz")) instruction("cherry", row);
  for (const row of json("gpt4_alpaca/alpaca_en_demo.json.gz")) instruction("gpt4_alpaca", row);
  for (const row of json("dolly/dolly_3k.json.gz")) instruction("dolly", row);
  for (const row of json("code_alpaca/code_alpaca_2k.json.gz")) instruction("code_alpaca", row);
  for (const row of json("code_alpaca/new_codealpaca.json.gz")) instruction("code_alpaca", row);
  for (const name of ["aqua", "creak", "ecqa", "gsm8k", "qasc", "sensemaking", "strategyqa"]) {
    for (const line of lines(`flan_cot/${name}_train.tsv.gz`)) {
      const [question, answer, explanation] = line.split("\t").map((field) => field.replaceAll("\\n", "\n"));
      add(`cot.${name}`, question, `${explanation} ${answer}`);
    }
  }
  for (const line of lines("gsm8k/train.jsonl.gz")) {
    const { question, answer } = JSON.parse(line);
    add("gsm8k/train", question, answer);
  }
  for (const source of ["self_instruct", "stanford_alpaca"]) {
    for (const line of lines(`${source}/seed_tasks.jsonl`)) {
      const { instruction: text, instances } = JSON.parse(line);
      instruction(`${source}/seed_tasks`, { instruction: text, ...instances[0] });
    }
  }
  for (const line of lines("self_instruct/user_oriented_instructions.jsonl")) {
    const { instruction: text, instances } = JSON.parse(line);
    instruction("user_oriented", { instruction: text, ...instances[0] });
  }
  for (const line of lines("lima/lima_train_questions_only.jsonl.gz")) add("lima", JSON.parse(line).question);
  for (const line of lines("ultrafeedback/train_clean.jsonl.gz")) {
    const { prompt, chosen } = JSON.parse(line);
    add("ultrafeedback", prompt, chosen);
  }
  for (const { conversations } of json("sharegpt/sharegpt_sample.json.gz")) {
    add("sharegpt", ...conversations.map((turn) => turn.value));
  }
  return all;
}

function text(path) {
  const bytes = readFileSync(join(folder, path));
  return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
}

function json(path) {
  return JSON.parse(text(path));
}

function lines(path) {
  return text(path)
    .split("\n")
    .filter((line) => line.trim() !== "");
}
