import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { indexRows } from "./row-index.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-index-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function rowsOf(content: string | Buffer) {
  const path = join(folder, "file.json");
  writeFileSync(path, content);
  const index = await indexRows(path);
  const bytes = readFileSync(path);
  const rows = Array.from(index.starts, (start, i) =>
    bytes.toString("utf8", start, start + index.lengths[i]!),
  );
  return { index, rows };
}

test("lines are rows, with or without a final line break", async () => {
  expect((await rowsOf('{"a":1}\n{"a":2}\n')).rows).toEqual(['{"a":1}', '{"a":2}']);
  expect((await rowsOf('{"a":1}\n{"a":2}')).rows).toEqual(['{"a":1}', '{"a":2}']);
});

test("blank lines are counted and are not rows", async () => {
  const { index, rows } = await rowsOf('\n{"a":1}\r\n  \n\n{"a":2}\n');
  expect(rows.map((row) => row.trim())).toEqual(['{"a":1}', '{"a":2}']);
  expect(index.blankLines).toBe(3);
});

test("array elements are found whatever is inside strings", async () => {
  const elements = [{ a: 'x"]},{[' }, { b: "\\" }, { c: '\\"' }, { d: [1, [2, { e: "," }]] }, {}];
  expect((await rowsOf(JSON.stringify(elements))).rows.map((row) => JSON.parse(row))).toEqual(elements);
  expect(
    (await rowsOf(` ${JSON.stringify(elements, null, 4)}\n`)).rows.map((row) => JSON.parse(row)),
  ).toEqual(elements);
});

test("array elements may be scalars, and an empty array has none", async () => {
  expect((await rowsOf('[1, "two" ,null,[3]]')).rows).toEqual(["1", '"two"', "null", "[3]"]);
  expect((await rowsOf("[ ]")).rows).toEqual([]);
  expect((await rowsOf("")).rows).toEqual([]);
});

test("an escape cut by the reading buffer is still an escape", async () => {
  // The buffer is 4 MiB: put runs of backslashes and an escaped quote across that border, at every phase.
  for (let phase = 0; phase < 6; phase++) {
    const long = `${"x".repeat((4 << 20) - 12 + phase)}\\\\\\"],[`;
    const elements = [{ t: long }, { t: "next" }];
    const { rows } = await rowsOf(JSON.stringify(elements));
    expect(rows.length).toBe(2);
    expect(JSON.parse(rows[0]!)).toEqual(elements[0]);
  }
});

test("a byte order mark belongs to no row", async () => {
  expect((await rowsOf('\ufeff{"a":1}\n{"a":2}\n')).rows).toEqual(['{"a":1}', '{"a":2}']);
  expect((await rowsOf('\ufeff[{"a":1}]')).rows).toEqual(['{"a":1}']);
});

test("a truncated array reports where it ended and keeps its whole elements", async () => {
  const { index, rows } = await rowsOf('[{"a":1},{"a":2},{"a":');
  expect(rows).toEqual(['{"a":1}', '{"a":2}']);
  expect(index.damage?.code).toBe("ERR_DATA_TRUNCATED");
});

test("a row larger than many buffers is one row", async () => {
  const big = JSON.stringify({ t: "y".repeat(20 << 20) });
  const { index } = await rowsOf(`{"a":1}\n${big}\n{"a":2}\n`);
  expect([...index.lengths]).toEqual([7, big.length, 7]);
});
