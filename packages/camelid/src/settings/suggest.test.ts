import { describe, expect, test } from "vitest";
import { closest, editDistance } from "./suggest.js";

test.each([
  ["", "", 0],
  ["abc", "abc", 0],
  ["", "abc", 3],
  ["kitten", "sitting", 3],
  ["lerning", "learning", 1],
  ["batas", "betas", 1],
  ["sfot", "soft", 1],
  ["ab", "ba", 1],
])("from %j to %j is %i", (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

describe("the closest key", () => {
  const keys = ["learningRate", "betas", "beta", "lora.rank", "maxSteps"];

  test.each([
    ["learning_rate", "learningRate"],
    ["LearningRate", "learningRate"],
    ["lora-rank", "lora.rank"],
    ["rank", "lora.rank"],
    ["bets", "betas"],
    ["beta", "beta"],
    ["maxstep", "maxSteps"],
  ])("to %s is %s", (word, key) => {
    expect(closest(word, keys)).toBe(key);
  });

  test.each(["temperature", "x", ""])("to %j is none", (word) => {
    expect(closest(word, keys)).toBeUndefined();
  });

  test("an alias beats any distance", () => {
    expect(closest("lr", ["lo", "learningRate"], new Map([["lr", "learningRate"]]))).toBe("learningRate");
  });
});
