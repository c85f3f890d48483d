import { expect, test } from "vitest";
import { chatMl, fill, placeholders } from "./judge-prompt.js";
import { rankOf } from "./ranking.js";
import { ratingOf } from "./rating.js";

test("a ranking is read as a Python literal, and only when it is nothing else", () => {
  const cases: [text: string, rank: 1 | 2 | undefined][] = [
    ["[{'model': 'model_1', 'rank': 1}, {'model': 'model_2', 'rank': 2}]", 1],
    ["[{'model': 'model_2', 'rank': 1}, {'model': 'model_1', 'rank': 2}]", 2],
    ['\n[{"rank": 2, "model": "model_1"},]  ', 2],
    ["({'model': 'model_1', 'rank': 1.0},)", 1],
    ["[\n    {'model': 'model_1', 'rank': 1},\n    {'model': 'model_2', 'rank': 2}\n]", 1],
    ["[{'model': 'model_1', 'rank': 3}]", undefined],
    ["[{'model': 'model_1', 'rank': '1'}]", undefined],
    ["[{'model': 'Model_1', 'rank': 1}]", undefined],
    ["[{'model': 'model_1', 'rank': 1}] because it is better", undefined],
    ["Here: [{'model': 'model_1', 'rank': 1}]", undefined],
    ["```python\n[{'model': 'model_1', 'rank': 1}]\n```", undefined],
    ["[{'model': 'model_1', 'rank': 1}", undefined],
    ["[{'model': 'model_1' 'rank': 1}]", undefined],
    ["{'model': 'model_1', 'rank': 1}", undefined],
    ["[{'model': 'model_1', 'rank': __import__('os').getpid()}]", undefined],
    ["[{'model': 'model_1', 'rank': True}]", undefined],
    ["", undefined],
    ["model_1", undefined],
  ];
  for (const [text, rank] of cases) expect(rankOf(text, "model_1"), text).toBe(rank);
});

test("a literal nested past all stacks is no ranking", () => {
  expect(rankOf("[".repeat(1_000_000), "model_1")).toBeUndefined();
});

test("a rating stands in double brackets, or in single ones where no double ones are", () => {
  const cases: [text: string, rating: number | undefined][] = [
    ["Rating: [[7]]", 7],
    ["Rating: [[8.5]] of [[10]]", 8.5],
    ["It deserves [6].", 6],
    ["See [1]. Rating: [[9]]", 9],
    ["[[ 7 ]]", undefined],
    ["[[7/10]]", undefined],
    ["Rating: 7", undefined],
    ["[[ten]]", undefined],
    ["", undefined],
  ];
  for (const [text, rating] of cases) expect(ratingOf(text), text).toBe(rating);
});

test("a rating outside the scale is none", () => {
  expect(ratingOf("[[0]]")).toBeUndefined();
  expect(ratingOf("[[11]]")).toBeUndefined();
  expect(ratingOf("[[100]]")).toBeUndefined();
});

test("placeholders are filled in one pass; braces in what is filled in stay", () => {
  expect(fill("{a} {b} {'x': 1} {c}", { a: "{b}", b: "$& $1" })).toBe("{b} $& $1 {'x': 1} {c}");
  expect(placeholders("{a} {b} {a} {'x'}")).toEqual(["a", "b"]);
});

test("ChatML becomes messages; other texts are refused", () => {
  expect(chatMl("<|im_start|>system\nbe kind\n<|im_end|>\n<|im_start|>user\n hi \n<|im_end|>\n")).toEqual([
    { role: "system", content: "be kind" },
    { role: "user", content: "hi" },
  ]);
  for (const text of ["", "hi", "<|im_start|>user\nhi", "<|im_start|>robot\nhi<|im_end|>"]) {
    expect(chatMl(text), text).toBeUndefined();
  }
});
