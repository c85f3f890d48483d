import { describe, expect, test } from "vitest";
import { joinDigits, lastNumberPaper, sameNumber, statedNumber } from "./numbers.js";

test("commas between digits go in one pass that does not overlap", () => {
  expect(joinDigits("1,234,567")).toBe("1234567");
  expect(joinDigits("1,2,3")).toBe("12,3"); // the 2 was used up by the first match
  expect(joinDigits("1, 2 and a,3")).toBe("1, 2 and a,3");
});

describe("the paper's last number", () => {
  test.each([
    ["So the answer is 18.", "18"],
    ["It costs $18.", "18"],
    ["It costs 18.00", "18.00"],
    ["That is -5", "5"], // the sign belongs to decimals only
    ["That is -5.5", "-5.5"],
    ["1,234 people", "1234"],
    ["The answer is 7. I checked it 3 times", "3"],
    ["75%", "75"],
    ["12/3", "3"],
    [".5", ".5"],
    ["১৯৭১", "১৯৭১"], // any script's digits, as in Python
  ])("%j -> %s", (text, number) => {
    expect(lastNumberPaper(text)).toBe(number);
  });

  test("no digit, no number", () => {
    expect(lastNumberPaper("seven")).toBeUndefined();
    expect(lastNumberPaper("")).toBeUndefined();
  });
});

describe("the number an answer states", () => {
  test.each([
    ["So the answer is 18.", "18"],
    ["So the answer is -18.", "-18"],
    ["the answer is $1,234.50.", "1234.50"],
    ["The answer is 7. I checked it 3 times on 4 May.", "7"],
    ["The answer is 3 + 4 = 7.", "7"],
    ["Answer: 12 apples", "12"],
    ["5 eggs\nA: 18", "18"],
    ["steps\n#### 1,500", "1500"],
    ["#### 5\nNo, wait.\n#### 6", "6"],
    ["therefore $\\boxed{42}$ is it", "42"],
    ["First 10, then 20, in the end 30 eggs.", "30"],
    ["10-5", "5"], // a minus between operands is no sign
    ["10 - 5 = -3", "-3"],
    ["It is -5.", "-5"],
    ["75%", "75"],
    ["It weighs .5", ".5"],
    ["The answer is clear: nobody knows. There were 3 of them.", "3"],
  ])("%j -> %s", (text, number) => {
    expect(statedNumber(text)).toBe(number);
  });

  test("no digit, no number", () => {
    expect(statedNumber("The answer is seven.")).toBeUndefined();
    expect(statedNumber("")).toBeUndefined();
  });
});

test("numerals are compared as numbers", () => {
  expect(sameNumber("18.00", "18")).toBe(true);
  expect(sameNumber("-5", "5")).toBe(false);
  expect(sameNumber("", "0x")).toBe(false);
});
