import { expect, test } from "vitest";
import { sideBySide, wrap } from "./columns.js";

test("lines break between words, and keep the text's own breaks", () => {
  expect(wrap("one two three\nfour", 8)).toEqual(["one two", "three", "four"]);
});

test("a word longer than a line is cut", () => {
  expect(wrap("abcdefgh", 3)).toEqual(["abc", "def", "gh"]);
  expect(wrap("a bcdefgh", 4)).toEqual(["a", "bcde", "fgh"]);
});

test("nothing is lost but the blanks at breaks", () => {
  const text = "The camel walks over the hill, slowly, and drinks a very looooooooong time.";
  for (let width = 1; width < 30; width++)
    expect(wrap(text, width).join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
});

test("wide characters take two columns", () => {
  expect(wrap("骆驼骆驼", 4)).toEqual(["骆驼", "骆驼"]);
  expect(sideBySide(["骆驼", "x"], 19)).toEqual(["骆驼     │ x"]);
});

test("columns have equal widths, and the shorter text ends in blanks", () => {
  expect(sideBySide(["a b c d e f", "x"], 21)).toEqual(["a b c d e │ x", "f         │"]);
});

test("no line is wider than the terminal", () => {
  for (const line of sideBySide(["lorem ipsum ".repeat(20), "dolor sit ".repeat(30)], 80))
    expect(line.length).toBeLessThanOrEqual(80);
});
