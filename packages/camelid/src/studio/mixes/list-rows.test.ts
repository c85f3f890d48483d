import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRowFile } from "../rows/row-file.js";
import { RowLists, type RowsQuestion } from "./list-rows.js";
import { RowTable } from "./row-table.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-rows-"));
const path = join(folder, "rows.jsonl");
const cache = process.env.CAMELID_CACHE;
let lists: RowLists;

const rows = Array.from({ length: 3000 }, (_, i) => ({
  dataset: ["hills", "plains", "coast"][i % 3],
  id: `row-${i}`,
  messages: [
    { role: "user", content: `Question ${i}${i === 2000 ? " with a needle\nin it" : ""}` },
    { role: "assistant", content: "so ".repeat((i * 37) % 200) },
    ...(i % 5 === 0 ? [{ role: "tool", content: "hidden" }] : []),
  ],
}));
const chars = ({ messages }: (typeof rows)[number]) =>
  messages.filter(({ role }) => role !== "tool").reduce((sum, { content }) => sum + content.length, 0);

const ask = (question: Partial<RowsQuestion>) =>
  lists.page({ dataset: "", words: "", sort: "place", descending: false, offset: 0, limit: 5, ...question });
const places = async (question: Partial<RowsQuestion>) =>
  (await ask(question)).rows.map(({ place }) => place);

/** Every match, once the texts have been read. */
async function found(question: Partial<RowsQuestion>): Promise<number> {
  for (;;) {
    const { total, partial } = await ask(question);
    if (!partial) return total!;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("the list of rows", () => {
  beforeAll(async () => {
    process.env.CAMELID_CACHE = join(folder, "cache");
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const file = openRowFile(path);
    const table = new RowTable(path, undefined);
    lists = new RowLists(table, () => file);
    await table.ready;
  });
  afterAll(() => {
    lists.table.close();
    if (cache === undefined) delete process.env.CAMELID_CACHE;
    else process.env.CAMELID_CACHE = cache;
    rmSync(folder, { recursive: true, force: true });
  });

  test("a page has the rows as the file has them, with their numbers", async () => {
    const { total, rows: page } = await ask({ offset: 1000 });
    expect(total).toBe(3000);
    expect(page[0]).toEqual({
      ...{ place: 1000, dataset: "plains", id: "row-1000", preview: "Question 1000" },
      ...{ turns: 3, chars: chars(rows[1000]!) },
    });
  });

  test("sorted by length, either way, rows of one length stay in the order of the file", async () => {
    const sorted = rows.map((row, i) => [chars(row), i] as const).sort(([a, i], [b, j]) => a - b || i - j);
    expect(await places({ sort: "chars", offset: 70 })).toEqual(sorted.slice(70, 75).map(([, i]) => i));
    expect(await places({ sort: "chars", descending: true })).toEqual(
      sorted
        .slice(-5)
        .map(([, i]) => i)
        .reverse(),
    );
  });

  test("of one source only, in any order", async () => {
    expect(await places({ dataset: "plains", offset: 2 })).toEqual([7, 10, 13, 16, 19]);
    expect((await ask({ dataset: "plains", sort: "chars" })).total).toBe(1000);
    expect(await ask({ dataset: "moon" })).toMatchObject({ total: 0, rows: [] });
  });

  test("words are found in any text, letters' case aside; so is an id", async () => {
    expect(await found({ words: "A Needle" })).toBe(1);
    expect(await places({ words: "a needle" })).toEqual([2000]);
    expect(await found({ words: "needle", dataset: "hills" })).toBe(0);
    expect(await found({ words: "row-77" })).toBe(1);
    expect(await found({ words: "hidden" })).toBe(0); // texts of the table's columns only
  });

  test("words of many rows: the first come at once, all of them soon", async () => {
    const first = await ask({ words: "question" });
    expect(first.rows.map(({ place }) => place)).toEqual([0, 1, 2, 3, 4]);
    expect(await found({ words: "question" })).toBe(3000);
    expect(await found({ words: "qu" })).toBe(3000);
    expect(await places({ words: "question", sort: "chars", descending: true, limit: 2 })).toEqual(
      await places({ sort: "chars", descending: true, limit: 2 }),
    );
  });
});
