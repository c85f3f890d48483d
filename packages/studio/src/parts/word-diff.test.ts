import { expect, test } from "vitest";
import { wordDiff } from "./word-diff.ts";

const own = (a: string, b: string) =>
  wordDiff(a, b).map((words) => words.filter((word) => word.own).map(({ text }) => text));

test("words that only one side says are marked on that side", () => {
  expect(own("the old grey mare", "the young mare")).toEqual([["old", "grey"], ["young"]]);
});

test("joined, the words are the text again", () => {
  const [a, b] = ["One.\n\n  Two, three!", "Öne two\t"];
  for (const [i, text] of [a, b].entries())
    expect(
      wordDiff(a, b)
        [i]!.map((word) => word.text)
        .join(""),
    ).toBe(text);
});

test("equal texts differ in nothing, and nothing differs from nothing", () => {
  expect(own("same", "same")).toEqual([[], []]);
  expect(own("", "word")).toEqual([[], ["word"]]);
});
