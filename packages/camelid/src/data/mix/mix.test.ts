import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { withDatabase } from "../files/duckdb.js";
import { defineMixture, type MixtureInput } from "../mixture-file.js";
import { explain } from "./explain.js";
import { type MixOptions, mix } from "./mix.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-mix-"));
afterAll(() => rmSync(folder, { recursive: true }));
const TOKENIZER = fileURLToPath(new URL("../../../../../tests/fixtures/llama-tokenizer", import.meta.url));

let runs = 0;
async function run(mixture: MixtureInput, options: Partial<MixOptions> = {}) {
  const out = join(folder, `out-${runs++}`);
  const manifest = await mix(defineMixture(mixture, folder), {
    out,
    onBad: "stop",
    allowFewer: false,
    threads: 1,
    parquet: false,
    ...options,
  });
  const read = (name: string) =>
    readFileSync(join(out, name), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Row);
  return { out, manifest, train: read("train.jsonl"), removed: read("removed.jsonl"), read };
}
interface Row {
  dataset: string;
  id: string;
  messages: { role: string; content: string }[];
}

function file(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return name;
}
const jsonl = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const pair = (prompt: string, answer = "an answer") => ({ prompt, completion: answer });
const pairs = (count: number, word: string) =>
  Array.from({ length: count }, (_, i) => pair(`${word} question ${i}`, `${word} answer ${i}`));
const user = { role: "user", content: "q" };
const answer = { role: "assistant", content: "a" };
const prompts = (rows: readonly Row[]) => rows.map((row) => row.messages[0]!.content);

test("without quotas every row is written in file order with an id from file and row", async () => {
  file("a.jsonl", jsonl(pairs(3, "a")));
  const { train, manifest } = await run({ sources: [{ name: "first", files: "a.jsonl" }] });
  expect(train.map((row) => row.id)).toEqual(["a_0", "a_1", "a_2"]);
  expect(train[1]).toEqual({
    dataset: "first",
    id: "a_1",
    messages: [
      { role: "user", content: "a question 1" },
      { role: "assistant", content: "a answer 1" },
    ],
  });
  expect(manifest.totals).toMatchObject({ read: 3, used: 3, written: 3 });
});

test("a row quota draws that many rows, the same for the same seed and others for another", async () => {
  file("many.jsonl", jsonl(pairs(200, "m")));
  const source = { name: "many", files: "many.jsonl", rows: 20 };
  const [one, again, other] = [
    await run({ sources: [source] }),
    await run({ sources: [source] }),
    await run({ seed: 7, sources: [source] }),
  ];
  expect(one.train).toHaveLength(20);
  expect(new Set(prompts(one.train)).size).toBe(20);
  expect(again.train).toEqual(one.train);
  expect(other.train).not.toEqual(one.train);
  expect(one.manifest.sources[0]).toMatchObject({
    read: 200,
    used: 200,
    written: 20,
    overQuota: 180,
    notSampled: 0,
  });
});

test("adding a source leaves the draw of the others alone", async () => {
  const many = { name: "many", files: "many.jsonl", rows: 20 };
  const alone = await run({ sources: [many] });
  const after = await run({ sources: [{ name: "a", files: "a.jsonl", rows: 1 }, many] });
  expect(after.train.filter((row) => row.dataset === "many")).toEqual(alone.train);
});

test("quotas count rows that pass the filter", async () => {
  const rows = pairs(50, "q").map((row, i) => (i % 2 === 0 ? row : { ...row, completion: "I am ChatGPT." }));
  file("filtered.jsonl", jsonl(rows));
  const { manifest, removed } = await run({
    filter: "word",
    sources: [{ name: "q", files: "filtered.jsonl", rows: 25 }],
  });
  expect(manifest.sources[0]).toMatchObject({ written: 25, filtered: removed.length });
  await expect(
    run({ filter: "word", sources: [{ name: "q", files: "filtered.jsonl", rows: 26 }] }),
  ).rejects.toThrow(/25 rows after filters, the mixture asks for 26/);
});

test("too few rows are repeated evenly when up-sampling is asked for", async () => {
  const { train, manifest } = await run({
    sources: [{ name: "a", files: "a.jsonl", rows: 8, upsample: true }],
  });
  const counts = ["a_0", "a_1", "a_2"].map((id) => train.filter((row) => row.id === id).length);
  expect(counts.sort()).toEqual([2, 3, 3]);
  expect(manifest.sources[0]).toMatchObject({ converted: 3, sampled: 8, written: 8 });
});

test("weights divide the total, repeating the small source", async () => {
  const { manifest } = await run({
    total: { rows: 40 },
    sources: [
      { name: "many", files: "many.jsonl", weight: 3 },
      { name: "a", files: "a.jsonl", weight: 1 },
    ],
  });
  expect(manifest.sources.map(({ written }) => written)).toEqual([30, 10]);
});

test("a quota of trained tokens stops at the row that fills it", async () => {
  const { manifest } = await run(
    { sources: [{ name: "many", files: "many.jsonl", trainedTokens: 300 }] },
    { tokenizer: TOKENIZER },
  );
  const { trainedTokens, written } = manifest.sources[0]!;
  expect(trainedTokens).toBeGreaterThanOrEqual(300);
  expect(trainedTokens - trainedTokens / written).toBeLessThan(300);
});

test("token quotas without a tokenizer are refused before anything is read", async () => {
  await expect(run({ sources: [{ name: "x", files: "not-there.jsonl", trainedTokens: 5 }] })).rejects.toThrow(
    /needs a tokenizer/,
  );
});

test("of equal rows the first source's stays, and lineage names it", async () => {
  file("left.jsonl", jsonl([pair("same  text"), pair("left")]));
  file("right.jsonl", jsonl([pair("right"), pair("same text"), pair("same\ntext")]));
  const { train, out, manifest } = await run({
    dedup: { exact: true },
    sources: [
      { name: "left", files: "left.jsonl" },
      { name: "right", files: "right.jsonl" },
    ],
  });
  expect(train.map((row) => row.id)).toEqual(["left_0", "left_1", "right_0"]);
  expect(manifest.sources[1]).toMatchObject({ deduplicated: 2, lostTo: { left: 2 } });
  expect(await explain(out, "right_2")).toMatchObject([
    { fate: "duplicate", row: 2, reason: expect.stringContaining("left_0 of left") },
  ]);
});

test("near-duplicates go, and the row that stayed is named with the similarity", async () => {
  const words = Array.from({ length: 60 }, (_, i) => `word${i}`);
  file(
    "near.jsonl",
    jsonl([
      pair(words.join(" ")),
      pair(`${words.slice(0, 59).join(" ")} changed`),
      pair("something else entirely, quite short"),
    ]),
  );
  const { train, removed, out, manifest } = await run({
    dedup: { near: true },
    sources: [{ name: "n", files: "near.jsonl" }],
  });
  expect(train.map((row) => row.id)).toEqual(["near_0", "near_2"]);
  expect(removed.map((row) => row.id)).toEqual(["near_1"]);
  expect(manifest.nearDedup).toMatchObject({ removed: 1 });
  expect((await explain(out, "near_1"))[0]!.reason).toMatch(/^\d+ % alike with near_0 of n$/);
});

test("near-deduplication and quotas go together: removed rows do not fill the quota", async () => {
  const base = Array.from({ length: 40 }, (_, i) => `token${i}`).join(" ");
  const rows = Array.from({ length: 30 }, (_, i) =>
    i < 20 ? pair(`${base} ${i}`) : pair(`distinct number ${i} of ten, said in its own way ${i * 7}`),
  );
  file("near-quota.jsonl", jsonl(rows));
  const { manifest } = await run({
    dedup: { near: true },
    sources: [{ name: "n", files: "near-quota.jsonl", rows: 9 }],
  });
  expect(manifest.sources[0]).toMatchObject({ written: 9, nearDuplicates: 19, overQuota: 2 });
});

test("rows with one prompt are held out together, with and without near-deduplication", async () => {
  const rows = Array.from({ length: 300 }, (_, i) =>
    pair(`prompt ${i % 100} about topic ${i % 100}`, `answer ${i} in words`),
  );
  file("held.jsonl", jsonl(rows));
  for (const dedup of [undefined, { near: { threshold: 0.95 } }]) {
    const { train, read } = await run({
      heldOut: 0.3,
      ...(dedup && { dedup }),
      sources: [{ name: "h", files: "held.jsonl" }],
    });
    const held = new Set(prompts(read("held-out.jsonl")));
    expect(held.size).toBeGreaterThan(10);
    expect(held.size).toBeLessThan(60);
    expect(prompts(train).filter((prompt) => held.has(prompt))).toEqual([]);
    expect(train.length + read("held-out.jsonl").length).toBe(300);
  }
});

test("rows that hold an evaluation text are removed, or listed when asked to report", async () => {
  const question =
    "Natalia sold clips to forty eight of her friends in April and then she sold half as many clips in May";
  file("eval.jsonl", jsonl([{ question, answer: "72" }]));
  file("leak.jsonl", jsonl([pair(`Here is one: ${question}. How many?`), pair("clean")]));
  const mixture = {
    sources: [{ name: "s", files: "leak.jsonl" }],
    decontaminate: { files: [{ name: "gsm", files: ["eval.jsonl"] }] },
  };
  const removed = await run(mixture);
  expect(removed.train.map((row) => row.id)).toEqual(["leak_1"]);
  expect(removed.manifest.sources[0]).toMatchObject({ contaminated: 1, contacts: { gsm: 1 } });
  expect(removed.manifest.sources[0]!.contaminatedRows[0]).toMatchObject({ id: "leak_0", benchmark: "gsm" });
  const reported = await run({ ...mixture, decontaminate: { ...mixture.decontaminate, action: "report" } });
  expect(reported.train).toHaveLength(2);
  expect(reported.manifest.sources[0]).toMatchObject({ contaminated: 0, contacts: { gsm: 1 } });
});

test("exempt sources pass every filter", async () => {
  file("identity.jsonl", jsonl([pair("Who are you?", "Not ChatGPT."), pair("Who are you?", "Not ChatGPT.")]));
  const { train } = await run({
    filter: "substring",
    dedup: { exact: true },
    sources: [{ name: "id", files: "identity.jsonl", exempt: true, repeat: 3 }],
  });
  expect(train).toHaveLength(6);
});

test("the same rows are read from every container", async () => {
  const rows = [
    { prompt: 'He said "hi",\nthen left', completion: "ünï 🙂" },
    { prompt: "2", completion: "007" },
  ];
  file("c.json", JSON.stringify(rows, null, 2));
  file("c.jsonl.gz", gzipSync(jsonl(rows)));
  file("c.csv", 'prompt,completion\r\n"He said ""hi"",\nthen left",ünï 🙂\r\n2,007\r\n');
  file("c.csv.gz", gzipSync(readFileSync(join(folder, "c.csv"))));
  file("c.tsv", 'prompt\tcompletion\nHe said "hi", then left\tünï 🙂\n2\t007\n');
  await withDatabase((connection) =>
    connection.run(`COPY (SELECT * FROM read_json('${folder}/c.json')) TO '${folder}/c.parquet'`),
  );
  const expected = (await run({ sources: [{ name: "c", files: "c.json" }] })).train.map(
    (row) => row.messages,
  );
  expect(expected[0]![0]!.content).toBe(rows[0]!.prompt);
  for (const name of ["c.jsonl.gz", "c.csv", "c.csv.gz", "c.parquet"]) {
    const { train } = await run({ sources: [{ name: "c", files: name }] });
    expect(
      train.map((row) => row.messages),
      name,
    ).toEqual(expected);
  }
  expect((await run({ sources: [{ name: "c", files: "c.tsv" }] })).train[1]!.messages[1]!.content).toBe(
    "007",
  );
});

test("a Parquet file of many row groups keeps the order of its rows", async () => {
  const table = "SELECT 'q' || i AS prompt, 'a' || i AS completion FROM range(30000) t(i)";
  await withDatabase((db) => db.run(`COPY (${table}) TO '${folder}/groups.parquet' (ROW_GROUP_SIZE 2048)`));
  const { train } = await run({ sources: [{ name: "g", files: "groups.parquet" }] });
  expect(train).toHaveLength(30_000);
  expect(train.findIndex((row, i) => row.messages[0]!.content !== `q${i}`)).toBe(-1);
});

test("the published mix is read as it is: Parquet with dataset, id and messages", async () => {
  const rows = [
    {
      dataset: "lima",
      id: "lima_17",
      messages: [
        { role: "user", content: "q" },
        { role: "assistant", content: "a" },
      ],
    },
    {
      dataset: "open_orca",
      id: "open_orca_flan.1",
      messages: [
        { role: "system", content: "" },
        { role: "user", content: "q" },
        { role: "assistant", content: "a" },
      ],
    },
  ];
  file("published.jsonl", jsonl(rows));
  await withDatabase((db) =>
    db.run(`COPY (SELECT * FROM read_json('${folder}/published.jsonl')) TO '${folder}/published.parquet'`),
  );
  const { train } = await run({ sources: [{ name: "tulu", files: "published.parquet" }] });
  expect(train).toEqual(rows);
});

test("an order of roles that trainers refuse is refused here, with its place", async () => {
  const says = (...roles: string[]) => ({ messages: roles.map((role) => ({ role, content: "x" })) });
  for (const roles of [
    ["assistant", "user"],
    ["user", "user", "assistant"],
    ["user", "system", "assistant"],
    ["user"],
  ]) {
    file("order.jsonl", jsonl([says("user", "assistant"), says(...roles)]));
    const error = await run({ sources: [{ name: "o", files: "order.jsonl" }] }).then(
      () => undefined,
      (e: Error & { where: string }) => e.where,
    );
    expect(error, roles.join(" ")).toMatch(/^order\.jsonl line 2, field messages/);
  }
});

test.each<[string, object, RegExp]>([
  ["calls of tools", { messages: [user, { ...answer, tool_calls: [{ id: "1" }] }] }, /calls of tools/],
  [
    "definitions of tools",
    { tools: [{ type: "function" }], messages: [user, answer] },
    /definitions of tools/,
  ],
  ["a weight", { messages: [user, { ...answer, weight: 0 }] }, /weights of messages/],
  ["half of a surrogate pair", { messages: [user, { ...answer, content: "a\ud800" }] }, /surrogate/],
])("what would be lost or is no text is refused with its place: %s", async (_, row, message) => {
  file("lossy.jsonl", jsonl([{ messages: [user, { ...answer, tool_calls: null, weight: 1 }] }, row]));
  const sources = [{ name: "lossy", files: "lossy.jsonl" }];
  await expect(run({ sources })).rejects.toMatchObject({
    message: expect.stringMatching(message),
    where: expect.stringMatching(/^lossy\.jsonl line 2, /),
  });
  const { train, manifest } = await run({ sources }, { onBad: "skip" });
  expect([train.length, manifest.totals.bad]).toEqual([1, 1]);
});

test("a folder in place of a file is said to be one", async () => {
  await expect(run({ sources: [{ name: "f", files: "." }] })).rejects.toMatchObject({
    message: expect.stringMatching(/is a folder/),
  });
});

test("formats are told from the columns, and unknown columns are listed", async () => {
  file(
    "f-messages.jsonl",
    jsonl([
      {
        messages: [
          { role: "user", content: "q" },
          { role: "assistant", content: "a" },
        ],
      },
    ]),
  );
  file(
    "f-sharegpt.json",
    JSON.stringify([
      {
        conversations: [
          { from: "human", value: "q" },
          { from: "gpt", value: "a" },
        ],
      },
    ]),
  );
  file("f-alpaca.json", JSON.stringify([{ instruction: "q", input: "", output: "a" }]));
  file("f-qa.jsonl", jsonl([{ question: "q", answer: "a" }]));
  for (const name of ["f-messages.jsonl", "f-sharegpt.json", "f-alpaca.json", "f-qa.jsonl"]) {
    const { train } = await run({ sources: [{ name: "f", files: name }] });
    expect(
      train[0]!.messages.map(({ role, content }) => [role, content]),
      name,
    ).toEqual([
      ["user", "q"],
      ["assistant", "a"],
    ]);
  }
  file("f-odd.jsonl", jsonl([{ frage: "q", antwort: "a" }]));
  await expect(run({ sources: [{ name: "f", files: "f-odd.jsonl" }] })).rejects.toThrow(/"frage", "antwort"/);
  const { train } = await run({
    sources: [{ name: "f", files: "f-odd.jsonl", columns: { prompt: "frage", completion: "antwort" } }],
  });
  expect(train[0]!.messages[0]!.content).toBe("q");
});

test("train.parquet holds the rows of train.jsonl", async () => {
  const { out, train } = await run({ sources: [{ name: "many", files: "many.jsonl" }] }, { parquet: true });
  const rows = await withDatabase(async (connection) =>
    (await connection.runAndReadAll(`SELECT * FROM '${out}/train.parquet'`)).getRowObjectsJson(),
  );
  expect(rows).toEqual(train);
});

test("the report tells composition, what was taken out, rows, and another mixture beside this one", async () => {
  const rows = [...pairs(30, "r"), pair("q", "<script>alert(1)</script> see ChatGPT")];
  file("report.jsonl", jsonl(rows));
  const first = await run({ name: "older", sources: [{ name: "many", files: "many.jsonl" }] });
  const { out } = await run(
    {
      name: "newer",
      filter: "word",
      sources: [
        { name: "many", files: "many.jsonl" },
        { name: "r", files: "report.jsonl" },
      ],
    },
    { tokenizer: TOKENIZER, beside: first.out },
  );
  const report = readFileSync(join(out, "report.html"), "utf8");
  for (const text of [
    "Composition",
    "Every row accounted for",
    "many, older",
    "many, newer",
    "ChatGPT",
    "&lt;script&gt;alert(1)",
    "trained",
  ]) {
    expect(report, text).toContain(text);
  }
  expect(report).not.toContain("<script>alert");
  expect(report.replace(/<(script|style)[\s\S]*?<\/\1>/g, "")).not.toMatch(/undefined|NaN|\[object/);
});

test("the output folder gets its files at the end or not at all", async () => {
  file("broken-late.jsonl", `${jsonl(pairs(10, "b"))}{"prompt": \n`);
  const out = join(folder, "atomic");
  const mixture = defineMixture({ sources: [{ name: "b", files: "broken-late.jsonl" }] }, folder);
  await expect(mix(mixture, { out, onBad: "stop", allowFewer: false, threads: 1 })).rejects.toThrow(
    /not JSON/,
  );
  expect(await readdir(out)).toEqual([]);
  await mix(mixture, { out, onBad: "skip", allowFewer: false, threads: 1 });
  expect((await readdir(out)).sort()).toEqual([
    "lineage.parquet",
    "manifest.json",
    "removed.jsonl",
    "report.html",
    "train.jsonl",
    "train.parquet",
  ]);
});

test("settings say everything that is wrong at once, with the key that was meant", () => {
  const wrong = {
    sources: [{ name: "a", file: "a.jsonl" }],
    dedupe: true,
    heldOut: "yes",
  } as unknown as MixtureInput;
  expect(() => defineMixture(wrong)).toThrow(
    /did you mean "files"[\s\S]*heldOut|heldOut[\s\S]*did you mean "files"/,
  );
  expect(() => defineMixture(wrong)).toThrow(/did you mean "dedup"/);
});
