/**
 * Raw files of the Tülu 2 sources, generated, in the original names and schemas, about 1.5 GB at scale 1.
 *
 *     node benchmarks/mix/make-raw.mjs DIR [SCALE]
 *
 * Texts are sentences drawn from a pool of 200,000, so that rows differ as much as real ones do; some hold code, quotes,
 * other scripts, product names. 1 row in 50 of some sources is a copy of an earlier one, another 1 in 50 a near copy.
 * Same scale, same bytes. ShareGPT comes raw and, as the original's splitter would leave it, in short pieces.
 */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";

const [folder, scaleText = "1"] = process.argv.slice(2);
const scale = Number(scaleText);
let state = 12345;
const random = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};

const syllables = "ba co di fe gu ha ji ka lo mu ne po ri sa te vu wy zo an er in on th st pr cl".split(" ");
const vocabulary = Array.from({ length: 30_000 }, () =>
  Array.from({ length: 1 + random(4) }, () => syllables[random(syllables.length)]).join(""),
);
const zipf = () => vocabulary[Math.floor(vocabulary.length ** (random(10_000) / 10_000)) - 1] ?? "a";
const special = [
  "ChatGPT",
  "naïve café",
  "北京是首都",
  "Привет, мир",
  "🙂🚀",
  'he said "no"',
  "\tif (x) {\n\t\treturn;\n\t}",
  "C:\\dir\\file",
  "palm trees",
  "x² + y²",
];
const sentence = () => {
  const words = Array.from({ length: 6 + random(18) }, zipf);
  if (random(40) === 0) words[random(words.length)] = special[random(special.length)];
  return `${words.join(" ")}${random(5) === 0 ? ".\n" : ". "}`;
};
const pool = Array.from({ length: 200_000 }, sentence);
const text = (sentences) => {
  let out = "";
  for (let i = 0; i < sentences; i++) out += pool[random(pool.length)];
  return out;
};
/** Most are short, some are long: about `mean` sentences on average. */
const length = (mean) => 1 + Math.floor((mean * (1 + random(100)) * (1 + random(100))) / 2600);

let total = 0;
function write(name, rows, make, { array = false, copies = false } = {}) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, "w");
  let buffer = array ? "[" : "";
  let earlier;
  for (let i = 0; i < rows; i++) {
    let row = make(i);
    if (copies && earlier && i % 50 === 0) row = { ...earlier, ...(row.id && { id: row.id }) };
    if (copies && earlier && i % 50 === 25)
      row = JSON.parse(JSON.stringify(earlier).replace(/\. (\w+)/, ". changed"));
    if (random(100) === 0) earlier = row;
    buffer += array ? `${i === 0 ? "\n" : ",\n"}${JSON.stringify(row)}` : `${JSON.stringify(row)}\n`;
    if (buffer.length > 8 << 20) {
      total += writeSync(file, buffer);
      buffer = "";
    }
  }
  total += writeSync(file, array ? `${buffer}\n]` : buffer);
  closeSync(file);
}
const n = (rows) => Math.round(rows * scale);
const flan = () => ({ inputs: text(length(14)), targets: text(length(2)) });
const alpaca = () => ({
  instruction: text(1 + random(2)),
  input: random(3) === 0 ? text(length(2)) : "",
  output: text(length(7)),
});
const turns = (count, mean) =>
  Array.from({ length: count }, (_, i) => ({
    from: i % 2 === 0 ? "human" : "gpt",
    value: text(i % 2 === 0 ? length(2) : length(mean)),
  }));
const node = (role, depth) => ({
  message_id: `m${random(1e9)}`,
  text: text(role === "assistant" ? length(9) : length(2)),
  role,
  deleted: random(40) === 0,
  labels: { quality: { value: random(5) / 4, count: 3 } },
  replies: Array.from({ length: depth > 3 ? 0 : random(4) }, () =>
    node(role === "assistant" ? "prompter" : "assistant", depth + 1),
  ),
});

write("flan_v2/tulu_v2_resampled_flan_50k.jsonl", n(100_000), flan, { copies: true });
write("cot/cot_zsopt.jsonl", n(60_000), flan);
write("cot/cot_fsopt.jsonl", n(60_000), flan);
write("oasst1/2023-04-12_oasst_ready.trees.jsonl", n(6_000), (i) => ({
  message_tree_id: `t${i}`,
  tree_state: "ready_for_export",
  prompt: node("prompter", 0),
}));
write("lima/train.jsonl", n(1_030), () => ({
  conversations: [text(length(3)), text(length(30))],
  source: "x",
}));
write("gpt4_alpaca/alpaca_gpt4_data.json", n(52_002), alpaca, { array: true, copies: true });
write("code_alpaca/code_alpaca_20k.json", n(20_022), alpaca, { array: true });
const chat = (i) => ({
  id: `s${i}`,
  conversations: turns(2 * (1 + random(8)) + (random(9) === 0 ? 1 : 0), 14),
});
write("sharegpt/sg_90k_part1_html_cleaned.json", n(26_000), chat, { array: true });
write("sharegpt/sg_90k_part2_html_cleaned.json", n(13_000), chat, { array: true });
const beforeSplit = total;
write(
  "sharegpt/sharegpt_html_cleaned_and_split_4096.json",
  n(50_000),
  (i) => ({ id: `s${i}_0`, conversations: turns(2 * (1 + random(4)), 14) }),
  { array: true, copies: true },
);
const split = total - beforeSplit;
write(
  "wizardlm/WizardLM_evol_instruct_V2_143k.json",
  n(143_000),
  (i) => ({ idx: `w${i}`, conversations: turns(2, 17) }),
  { array: true, copies: true },
);
write("open_orca/rows.jsonl", n(200_000), (i) => ({
  id: `flan.${i}`,
  system_prompt: i % 3 === 0 ? "" : text(1),
  question: text(length(8)),
  response: text(length(6)),
}));
write("science/science_train.jsonl", n(7_544), (i) => ({
  dataset: "scitldr_aic",
  input: text(length(50)),
  output: text(2),
  i,
}));
write("hard_coded/hard_coded_examples.csv", 0, () => ({}));
const identity = openSync(join(folder, "hard_coded/hard_coded_examples.csv"), "w");
writeSync(
  identity,
  `Prompt,Output\n${Array.from({ length: 14 }, (_, i) => `Who are you (${i})?,An assistant.\n`).join("")}`,
);
closeSync(identity);

const instance = await DuckDBInstance.create(":memory:", { threads: "2", memory_limit: "1GB" });
const database = await instance.connect();
const rows = join(folder, "open_orca/rows.jsonl");
await database.run(
  `COPY (SELECT * FROM read_json('${rows}', format='newline_delimited')) TO '${join(folder, "open_orca/1M-GPT4-Augmented.parquet")}'`,
);
rmSync(rows);
process.stdout.write(
  `${(total / 1e6).toFixed(0)} MB, of which ${(split / 1e6).toFixed(0)} MB are ShareGPT already split\n`,
);
