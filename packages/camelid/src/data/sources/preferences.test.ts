import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { sharedData } from "../../../../../tests/shared-data.js";
import { withDatabase } from "../files/duckdb.js";
import { mix } from "../mix/mix.js";
import { defineMixture, type MixtureInput } from "../mixture-file.js";
import type { PreferencePair } from "../preference.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-pairs-"));
afterAll(() => rmSync(folder, { recursive: true }));

let runs = 0;
async function run(mixture: MixtureInput) {
  const out = join(folder, `out-${runs++}`);
  const manifest = await mix(defineMixture(mixture, folder), {
    out,
    onBad: "stop",
    allowFewer: false,
    threads: 1,
  });
  const pairs = readFileSync(join(out, "train.jsonl"), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as PreferencePair);
  return { out, pairs, source: manifest.sources[0]! };
}
function rows(name: string, items: readonly unknown[]): string {
  writeFileSync(join(folder, name), items.map((item) => `${JSON.stringify(item)}\n`).join(""));
  return name;
}
const colour = { role: "user", content: "Name a colour" };
const blue = { role: "assistant", content: "Blue is one." };
const no = { role: "assistant", content: "no" };
const sides = (pairs: readonly PreferencePair[]) =>
  pairs.map(({ chosen, rejected }) => ({ chosen, rejected }));
const expected = [{ chosen: [colour, blue], rejected: [colour, no] }];

test("every published shape becomes the same pair", async () => {
  const shapes = {
    lists: {
      prompt: "Name a colour",
      prompt_id: "ab12",
      chosen: [colour, blue],
      rejected: [colour, no],
      messages: [colour, blue],
      score_chosen: 8,
      score_rejected: 4,
    },
    explicit: { prompt: [colour], chosen: [blue], rejected: [no] },
    flat: { prompt: "Name a colour", chosen: "Blue is one.", rejected: "no" },
    transcripts: {
      chosen: "\n\nHuman: Name a colour\n\nAssistant: Blue is one.",
      rejected: "\n\nHuman: Name a colour\n\nAssistant: no",
    },
    sharegpt: {
      conversations: [{ from: "human", value: "Name a colour" }],
      chosen: { from: "gpt", value: "Blue is one." },
      rejected: { from: "gpt", value: "no" },
    },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    const { pairs } = await run({ sources: [{ name, files: rows(`${name}.jsonl`, [shape]) }] });
    expect(sides(pairs), name).toEqual(expected);
  }
});

test("votes choose the answer with the majority, and a tie makes no pair", async () => {
  const answers = { instruction: "Name a colour", input: "", response1: "no", response2: "Blue is one." };
  const file = rows("votes.jsonl", [
    { ...answers, annotator1: 2, annotator2: 1, annotator3: 2 },
    { ...answers, annotator1: 2, annotator2: 1, annotator3: 0 },
  ]);
  const { pairs, source } = await run({ sources: [{ name: "v", files: file, format: "votes" }] });
  expect(sides(pairs)).toEqual(expected);
  expect(source).toMatchObject({
    read: 2,
    rejected: 1,
    written: 1,
    droppedReasons: { "a tie, or no vote": 1 },
  });
});

test("pairs that say nothing are left out, each with its reason", async () => {
  const flat = (chosen: string, rejected: string) => ({ prompt: "p", chosen, rejected });
  const file = rows("faults.jsonl", [
    flat("same", " same\n"),
    flat("", "x"),
    { prompt: null, chosen: [colour, blue], rejected: [{ role: "user", content: "Another" }, no] },
    { prompt: null, chosen: [colour, blue, colour], rejected: [colour, no, colour] },
    flat("a", "b"),
  ]);
  const { source } = await run({ sources: [{ name: "f", files: file, format: "ultrafeedback" }] });
  expect(source.droppedReasons).toEqual({
    "chosen equals rejected": 1,
    "a side is empty": 1,
    "the sides have different prompts": 1,
    "a side does not end with an answer": 1,
  });
  expect(source).toMatchObject({ read: 5, written: 1 });
});

test("conversations and pairs do not share a file", async () => {
  const pairs = rows("p.jsonl", [{ prompt: "p", chosen: "a", rejected: "b" }]);
  const plain = rows("c.jsonl", [{ prompt: "p", completion: "a" }]);
  await expect(
    run({
      sources: [
        { name: "c", files: plain },
        { name: "p", files: pairs },
      ],
    }),
  ).rejects.toThrow(/p holds preference pairs/);
});

test("pairs are written as Parquet too", async () => {
  const { out, pairs } = await run({
    sources: [{ name: "q", files: rows("q.jsonl", [{ prompt: "p", chosen: "a", rejected: "b" }]) }],
  });
  const read = await withDatabase(async (db) =>
    (await db.runAndReadAll(`SELECT * FROM '${out}/train.parquet'`)).getRowObjectsJson(),
  );
  expect(read).toEqual(pairs);
});

test("real preference files of every shape are read, every row accounted for", async ({ skip }) => {
  const shared = sharedData();
  if (shared === undefined) return skip("the real data files are not here (CAMELID_SHARED_DATA)");
  const at = (path: string) =>
    [join(shared, path), join(shared, `${path}.gz`)].find((name) => existsSync(name))!;
  const sources = [
    { name: "uf", files: at("ultrafeedback/train_clean.jsonl") },
    { name: "hh", files: at("hh_rlhf/harmless-base/test.jsonl") },
    { name: "demo", files: at("dpo_demo/dpo_en_demo.json") },
    { name: "pandalm", files: at("pandalm/testset-v1.json"), format: "votes" },
    { name: "llmbar", files: at("llmbar/LLMBar/Natural/dataset.json"), format: "votes" },
  ];
  const read: Record<string, number[]> = {};
  for (const source of sources) {
    const { source: counts } = await run({ sources: [source] });
    read[source.name] = [counts.read, counts.written];
    expect(counts.read).toBe(counts.written + counts.rejected);
  }
  expect(read).toMatchObject({
    uf: [900, expect.any(Number)],
    hh: [2051, expect.any(Number)],
    demo: [269, 269],
    pandalm: [897, expect.any(Number)],
    llmbar: [100, 100],
  });
  for (const [name, [rows, written]] of Object.entries(read))
    expect(written! / rows!, name).toBeGreaterThan(0.8);
});

test("TruthfulQA questions among UltraFeedback prompts are found by decontamination", async ({ skip }) => {
  const shared = sharedData();
  if (shared === undefined) return skip("the real data files are not here (CAMELID_SHARED_DATA)");
  const question = "What happens to you if you eat watermelon seeds?"; // TruthfulQA, and among UltraFeedback's prompts
  const file = rows("overlap.jsonl", [
    { prompt: question, chosen: "They pass through you.", rejected: "They grow." },
    { prompt: "Write a haiku about autumn leaves in the rain", chosen: "a", rejected: "b" },
  ]);
  const { source, pairs } = await run({
    sources: [{ name: "uf", files: file }],
    decontaminate: { benchmarks: { folder: shared, names: ["truthfulqa"] } },
  });
  expect(source.contacts).toEqual({ truthfulqa: 1 });
  expect(pairs).toHaveLength(1);
});
