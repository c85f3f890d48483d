/**
 * Inputs of the size the Studio must be quick on: a run of many steps and a mixture of many rows, made up.
 *   node benchmarks/studio/make-inputs.mjs FOLDER [steps] [rows]
 */
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export async function makeInputs(folder, steps, rows) {
  const run = join(folder, "out", `run-${steps}`);
  const mix = join(folder, `mix-${rows}`);
  if (!existsSync(join(run, "events.jsonl"))) await makeRun(run, steps, rows);
  if (!existsSync(join(mix, "manifest.json"))) await makeMix(mix, rows);
  return { run, mix };
}

const SOURCES = [
  "flan_v2",
  "cot",
  "oasst1",
  "sharegpt",
  "gpt4_alpaca",
  "code_alpaca",
  "lima",
  "wizardlm",
  "open_orca",
  "science",
];
const WORDS =
  "the of and a to in river stone quiet seven garden letter green window table light model answer question python".split(
    " ",
  );

async function makeRun(folder, steps, rows) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "settings.json"),
    JSON.stringify({
      model: "model",
      data: `mix-${rows}/train.jsonl`,
      learningRate: 2e-5,
      $provenance: { recipe: "sft", origins: {} },
    }),
  );
  const events = createWriteStream(join(folder, "events.jsonl"));
  const lineage = createWriteStream(join(folder, "lineage"));
  const time = (step) => new Date(Date.UTC(2026, 0, 5) + step * 900).toISOString();
  await put(
    events,
    `${JSON.stringify({ event: "run-start", time: time(0), format: 1, recipe: "sft", total_steps: steps })}\n`,
  );
  await put(lineage, "# camelid lineage 1, rows of train.jsonl sha256:0\n");
  for (let step = 1; step <= steps; step++) {
    const noise = Math.sin(step * 12.9898) * 43758.5453;
    const loss =
      1.1 +
      2 * Math.exp((-5 * step) / steps) +
      (noise - Math.floor(noise)) * 0.2 +
      (step === Math.floor(steps * 0.6) ? 5 : 0);
    const sources = Object.fromEntries(
      SOURCES.map((name, i) => [name, { loss: loss + i * 0.05, trained_tokens: 4000 }]),
    );
    await put(
      events,
      `${JSON.stringify({ event: "step-end", time: time(step), step, epoch: (2 * step) / steps, loss, lr: 2e-5 * (1 - step / steps), grad_norm: 1.1, trained_tokens: 40000, tokens_per_second: 21000, sources })}\n`,
    );
    await put(
      lineage,
      `${step}: ${Array.from({ length: 32 }, (_, i) => (step * 7919 + i * 104729) % rows).join(" ")}\n`,
    );
  }
  await put(
    events,
    `${JSON.stringify({ event: "run-end", time: time(steps), status: "completed", step: steps, duration_ms: steps * 900 })}\n`,
  );
  await Promise.all([finish(events), finish(lineage)]);
}

/** Rows of 300 to 4,000 characters, about as real instruction data. */
async function makeMix(folder, rows) {
  mkdirSync(folder, { recursive: true });
  const file = createWriteStream(join(folder, "train.jsonl"));
  const counts = new Map(SOURCES.map((name) => [name, { written: 0, chars: 0 }]));
  for (let i = 0; i < rows; i++) {
    const dataset = SOURCES[((i * 31) % 97) % SOURCES.length];
    const text = (words, salt) =>
      Array.from(
        { length: words },
        (_, k) => WORDS[(i * 7 + k * (3 + salt) + ((i * k) % 11)) % WORDS.length],
      ).join(" ");
    const messages = [
      {
        role: "user",
        content: `${i}: ${text(12 + (i % 60), 1)}${i === rows - 1000 ? " needle-in-the-hay" : ""}`,
      },
      { role: "assistant", content: text(40 + ((i * 13) % 500), 2) },
    ];
    const count = counts.get(dataset);
    count.written++;
    count.chars += messages[0].content.length + messages[1].content.length;
    await put(file, `${JSON.stringify({ dataset, id: `${dataset}_${i}`, messages })}\n`);
  }
  await finish(file);
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest(rows, counts)));
}

function manifest(rows, counts) {
  const zeros = Object.fromEntries(
    [
      "bad",
      "notSampled",
      "rejected",
      "filtered",
      "deduplicated",
      "nearDuplicates",
      "contaminated",
      "overQuota",
      "heldOut",
      "tokens",
      "trainedTokens",
    ].map((key) => [key, 0]),
  );
  const books = ({ written, chars }) => ({
    ...zeros,
    read: written,
    used: written,
    converted: written,
    sampled: written,
    written,
    turns: 2 * written,
    chars,
  });
  const sources = [...counts].map(([name, count]) => ({
    ...books(count),
    ...{
      name,
      format: "messages",
      rule: "as they are",
      draws: ["all"],
      files: [],
      notes: [],
      droppedReasons: {},
      filterHits: {},
      lostTo: {},
      contacts: {},
      languages: {},
    },
    ...{
      lengths: { unit: "characters", quantiles: Array.from({ length: 200 }, (_, i) => 250 + i * 16) },
      badRows: [],
      contaminatedRows: [],
    },
  }));
  const chars = [...counts.values()].reduce((sum, count) => sum + count.chars, 0);
  return {
    format: 1,
    mixture: `made up, ${rows} rows`,
    seed: 1,
    settings: { name: "made-up", seed: 1 },
    sources,
    totals: books({ written: rows, chars }),
    files: {},
    missing: [],
    made: { at: "2026-01-05T00:00:00.000Z", seconds: 1, threads: 1 },
  };
}

async function put(stream, text) {
  if (!stream.write(text)) await new Promise((resolve) => stream.once("drain", resolve));
}

function finish(stream) {
  return new Promise((resolve) => stream.end(resolve));
}

if (process.argv[1] === import.meta.filename) {
  const [, , folder, steps = "100000", rows = "300000"] = process.argv;
  console.log(await makeInputs(folder, Number(steps), Number(rows)));
}
