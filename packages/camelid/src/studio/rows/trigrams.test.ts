import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runScan } from "./scan.js";
import { mayHold, TrigramWriter } from "./trigrams.js";

const folder = mkdtempSync(join(tmpdir(), "camelid-trigrams-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
/** Trigrams of a text, taken in pieces of `size` bytes. */
function written(text: string, size = 1 << 20): string {
  const path = join(folder, `trigrams-${files++}`);
  const file = openSync(path, "w");
  const writer = new TrigramWriter(file);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) writer.take(bytes.subarray(at, at + size));
  writer.end();
  closeSync(file);
  return path;
}
const placesOf = (path: string, words: string) => {
  const places = mayHold(path, words);
  return places && [...places];
};
const line = (text: string) => `${JSON.stringify({ content: text })}\n`;

describe("trigrams of rows", () => {
  const texts = ["The quiet river", "seven green stones", 'say "Rivers"\nand stones', "größer als \\ alles"];
  const path = written(texts.map(line).join(""));

  test("every row that holds the words is among those that may, letters' case aside", () => {
    expect(placesOf(path, "RIVER")).toEqual([0, 2]);
    expect(placesOf(path, "green stones")).toEqual([1]);
    expect(placesOf(path, "and stones")).toEqual([2]);
    expect(placesOf(path, "als")).toEqual([3]);
    expect(placesOf(path, "waterfall")).toEqual([]);
  });

  test("words without three letters in a row may be anywhere", () => {
    expect(placesOf(path, "ö x")).toBeUndefined();
    expect(placesOf(path, "")).toBeUndefined();
  });

  test("wherever the file is cut into pieces, no row is lost", () => {
    const text = texts.map(line).join("");
    for (const size of [1, 2, 3, 7]) {
      const cut = written(text, size);
      for (const words of ["river", "green stones", "and stones", "größer", "alles"]) {
        const places = texts.flatMap((one, i) => (one.toLowerCase().includes(words) ? [i] : []));
        expect(placesOf(cut, words) ?? places, `${words} in pieces of ${size}`).toEqual(
          expect.arrayContaining(places),
        );
      }
    }
  });

  test("a letter written as an escape is found all the same", () => {
    expect(placesOf(written('{"content":"r\\u0069ver"}\n{"content":"hill"}\n'), "river")).toEqual([0]);
  });

  test("blank lines are no rows, a last line without an end is one", () => {
    const lines = written('{"a":"one"}\n\n{"a":"two"}\n{"a":"three"}');
    expect(placesOf(lines, "two")).toEqual([1]);
    expect(placesOf(lines, "three")).toEqual([2]);
  });

  test("a line that ends in a backslash does not swallow the next", () => {
    expect(placesOf(written('broken \\\n{"a":"second"}\n'), "second")).toEqual([1]);
  });

  test("rows of later blocks are found at their places", () => {
    const many = written(
      Array.from({ length: 70_000 }, (_, i) =>
        line(i === 40_000 || i === 69_999 ? "needle" : `row ${i}`),
      ).join(""),
    );
    expect(placesOf(many, "needle")).toEqual([40_000, 69_999]);
    expect(placesOf(many, "row 12345")).toContain(12_345);
  });
});

test("a pass over a file gives the end of every line, of the last one too", async () => {
  const path = join(folder, "lines.jsonl");
  writeFileSync(path, "ab\n\nc");
  expect([...(await runScan({ kind: "line-ends", path }))]).toEqual([2, 3, 5]);
});
