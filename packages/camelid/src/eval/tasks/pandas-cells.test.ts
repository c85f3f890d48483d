import { expect, test } from "vitest";
import { pandasCells } from "./pandas-cells.js";

const column = (...cells: string[]) => pandasCells(cells.map((cell) => [cell])).map(([cell]) => cell);

test("words that pandas takes for missing print as nan", () => {
  expect(column("NA", "N/A", "null", "", "None", "n/a", "text")).toEqual([
    "nan",
    "nan",
    "nan",
    "nan",
    "nan",
    "nan",
    "text",
  ]);
  expect(column("na", "Null", "none", "x")).toEqual(["na", "Null", "none", "x"]);
});

test("a column of whole numbers stays whole, with a gap it turns to floats", () => {
  expect(column("3", "04", "+5")).toEqual(["3", "4", "5"]);
  expect(column("3", "NA")).toEqual(["3.0", "nan"]);
});

test("a column of decimals is printed as Python prints floats", () => {
  expect(column("0.50", "2", "1e-7")).toEqual(["0.5", "2.0", "1e-07"]);
});

test("one text keeps a column as it stands", () => {
  expect(column("0.50", "half")).toEqual(["0.50", "half"]);
});
