import { expect, test } from "vitest";
import { exactMatchIgnoring, squadF1, squadNormal } from "./text-match.js";

test("punctuation and case do not count, white space does", () => {
  expect(exactMatchIgnoring("(A)", "a")).toBe(true);
  expect(exactMatchIgnoring("-50", "50")).toBe(true);
  expect(exactMatchIgnoring("18.00", "1800")).toBe(true);
  expect(exactMatchIgnoring("18.00", "18")).toBe(false);
  expect(exactMatchIgnoring("] ) }", "> > >")).toBe(true); // brackets reduce to the spaces between them
  expect(exactMatchIgnoring("a  b", "a b")).toBe(false);
  expect(exactMatchIgnoring("„a“", "a")).toBe(false); // ASCII punctuation only
});

test("SQuAD's normal form drops articles as whole words only", () => {
  expect(squadNormal("The cat, an ant  and a hat.")).toBe("cat ant and hat");
  expect(squadNormal("Theatre")).toBe("theatre");
  expect(squadNormal("the")).toBe("");
});

test("F1 counts shared words as often as both have them", () => {
  expect(squadF1("the lake Y", "Y")).toBeCloseTo(2 / 3, 12); // 1 of 2 and 1 of 1
  expect(squadF1("a a b b", "b b b")).toBeCloseTo(0.8, 12); // articles go: 2 of 2 and 2 of 3
  expect(squadF1("", "Y")).toBe(0);
  expect(squadF1("X", "Y")).toBe(0);
  expect(squadF1("12 км", "12 км.")).toBe(1);
});
