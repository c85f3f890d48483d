import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readConversations } from "./read-conversations.js";

const GOOD = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}';

async function fileOf(name: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), "camelid-rows-")), name);
  await writeFile(path, bytes);
  return path;
}

const turns = (...roles: string[]): string =>
  JSON.stringify({ messages: roles.map((role) => ({ role, content: "x" })) });

describe("reading", () => {
  test("fills in dataset and id from the file's name and the row's index", async () => {
    const named =
      '{"dataset": "lima", "id": 7, "source": "x", "messages": [{"role": "user", "content": "Hi"}]}';
    const { rows } = await readConversations(await fileOf("mine.jsonl", `${named}\n\n${GOOD}\n`));
    expect(rows.map(({ dataset, id }) => [dataset, id])).toEqual([
      ["lima", "7"],
      ["mine", "mine_1"],
    ]);
    expect(rows[1]!.origin).toMatchObject({ line: 3, unit: "line" });
    expect(rows[1]!.messages).toEqual([
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
    ]);
  });

  test.each([
    ["rows.jsonl", `${GOOD}\n${GOOD}`],
    ["rows.jsonl", `${GOOD}\r\n${GOOD}\r\n`],
    ["rows.jsonl.gz", gzipSync(`${GOOD}\n${GOOD}\n`)],
    ["rows.json", `[${GOOD},\n ${GOOD}]`],
    ["rows.json.gz", gzipSync(`\n[${GOOD}, ${GOOD}]`)],
  ])("reads %s", async (name, bytes) => {
    const { rows } = await readConversations(await fileOf(name, bytes));
    expect(rows.map(({ id }) => id)).toEqual(["rows_0", "rows_1"]);
  });

  test("keeps contents as they are: white space, line separators, split UTF-8", async () => {
    const content = "  \u2028 \u2029 \u0085\r\n 😀 ";
    const long = JSON.stringify({ messages: [{ role: "user", content: content + "é😀".repeat(50_000) }] });
    const { rows } = await readConversations(await fileOf("rows.jsonl", `${long}\n${long}\n`));
    expect(rows[1]!.messages[0]!.content).toBe(content + "é😀".repeat(50_000));
  });

  test("a byte order mark at the start of the file is not part of the first row", async () => {
    const { rows } = await readConversations(await fileOf("rows.jsonl", `\ufeff${GOOD}\n`));
    expect(rows).toHaveLength(1);
  });
});

describe("a bad row", () => {
  test.each([
    ["{broken", "ERR_JSON", "rows.jsonl line 2"],
    ["[1, 2", "ERR_JSON", "rows.jsonl line 2"],
    ["3", "ERR_ROW_SHAPE", "line 2, field (the row)"],
    ['{"text": "x"}', "ERR_ROW_SHAPE", "line 2, field messages"],
    ['{"messages": []}', "ERR_CHAT_EMPTY", "line 2, field messages"],
    ['{"messages": [{"role": "human", "content": "x"}]}', "ERR_ROW_SHAPE", "field messages[0].role"],
    ['{"messages": [{"role": "user", "content": null}]}', "ERR_ROW_SHAPE", "field messages[0].content"],
    ['{"messages": [{"role": "user", "content": "x", "weight": 0}]}', "ERR_ROW_SHAPE", "field messages[0]"],
    ['{"messages": [{"role": "user", "content": "\\ud83d"}]}', "ERR_ROW_SHAPE", "field messages[0].content"],
    [`{"tools": [{}], ${GOOD.slice(1)}`, "ERR_ROW_SHAPE", "field tools"],
    [turns("assistant", "user"), "ERR_CHAT_ROLE_ORDER", "field messages[0].role"],
    [turns("user", "user"), "ERR_CHAT_ROLE_ORDER", "field messages[1].role"],
    [turns("system", "assistant"), "ERR_CHAT_ROLE_ORDER", "field messages[1].role"],
    [turns("user", "assistant", "system"), "ERR_CHAT_ROLE_ORDER", "field messages[2].role"],
    [turns("system", "user"), "ERR_NO_TRAINED_TOKEN", "line 2, field messages"],
  ])("%s is %s", async (row, code, where) => {
    const file = await fileOf("rows.jsonl", `${GOOD}\n${row}\n${GOOD}\n`);
    const error = await readConversations(file, { requireAssistant: true }).catch((caught) => caught);
    expect(error).toMatchObject({ code, exitCode: 2, where: expect.stringContaining(where) });
    expect(error.fix).toBeTruthy();

    const { rows, skipped } = await readConversations(file, { requireAssistant: true, onBad: "skip" });
    expect(rows.map(({ id }) => id)).toEqual(["rows_0", "rows_2"]);
    expect(skipped.map((each) => each.code)).toEqual([code]);
  });

  test("reads like the style guide's example", async () => {
    const file = await fileOf("pairs.jsonl", turns("assistant"));
    const error = await readConversations(file).catch((caught) => caught);
    expect(error.format().replace(file, "pairs.jsonl")).toBe(
      [
        'DataError [ERR_CHAT_ROLE_ORDER]: the conversation starts with role "assistant".',
        "  where: pairs.jsonl line 1, field messages[0].role",
        '  fix:   expected role "user" here; correct the row, or leave such rows out with `--on-bad skip`.',
      ].join("\n"),
    );
  });

  test("prompts need no answer", async () => {
    const { rows } = await readConversations(await fileOf("rows.jsonl", turns("system", "user")));
    expect(rows).toHaveLength(1);
  });
});

describe("a bad file", () => {
  test.each([
    ["empty.jsonl", "", "ERR_NO_ROWS"],
    ["blank.jsonl", "\n \n", "ERR_NO_ROWS"],
    ["array.json", "[]", "ERR_NO_ROWS"],
    ["array.json", "[{", "ERR_JSON"],
    ["latin1.jsonl", new Uint8Array([0x22, 0xe9, 0x22]), "ERR_FILE_DAMAGED"],
    ["cut.jsonl.gz", gzipSync(GOOD.repeat(100)).subarray(0, 60), "ERR_FILE_DAMAGED"],
    ["plain.jsonl.gz", GOOD, "ERR_FILE_DAMAGED"],
  ])("%s is %s", async (name, bytes, code) => {
    await expect(readConversations(await fileOf(name, bytes))).rejects.toMatchObject({ code });
  });

  test("in another form leads to camelid mix: a table, or rows without messages", async () => {
    for (const [name, bytes] of [
      ["rows.parquet", "PAR1"],
      ["rows.csv.gz", gzipSync("prompt,completion\n")],
      ["rows.json", '[{"instruction": "a", "output": "b"}]'],
    ] as const) {
      const reading = readConversations(await fileOf(name, bytes));
      await expect(reading, name).rejects.toMatchObject({ fix: expect.stringContaining("`camelid mix`") });
    }
  });

  test("that is missing or a folder is named", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-rows-"));
    for (const path of [folder, join(folder, "none.jsonl")]) {
      await expect(readConversations(path)).rejects.toMatchObject({ code: "ERR_FILE_MISSING", where: path });
    }
  });

  test("with only bad rows shows the first problem even when skipping", async () => {
    const file = await fileOf("rows.jsonl", turns("assistant"));
    await expect(readConversations(file, { onBad: "skip" })).rejects.toMatchObject({
      code: "ERR_NO_ROWS",
      fix: expect.stringContaining("starts with role"),
    });
  });
});
