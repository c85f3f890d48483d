/** The page of pitfalls names files as evidence: they have to be there. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const page = readFileSync(join(root, "docs/guides/pitfalls.md"), "utf8");
const rows = page.split("\n").filter((line) => /^\| \d+ \|/.test(line));

test("all 38 pitfalls are listed, once each, with a status", () => {
  expect(rows.map((row) => Number(row.split("|")[1]))).toEqual(Array.from({ length: 38 }, (_, i) => i + 1));
  for (const row of rows) expect(row.split("|").at(-2)).toMatch(/^ (done|partly|not yet)\b/);
});

test("every file that the page names is there", () => {
  const files = [...page.matchAll(/`((?:packages|tests|docs)\/[^`]+)`/g)].map((match) => match[1]!);
  expect(files.length).toBeGreaterThan(40);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test("a pitfall that counts as done names what shows it", () => {
  for (const row of rows.filter((line) => / done/.test(line.split("|").at(-2)!)))
    expect(row, row).toMatch(/`(packages|tests)\//);
});
