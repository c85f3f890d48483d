import { describe, expect, it } from "vitest";
import { type Expectation, judge, manners, summarise } from "./scoring.js";

const home: Expectation = {
  answer: "Ama lives in Cairn.",
  includes: ["Cairn"],
  excludes: ["Brook"],
  strict: false,
};

describe("judge", () => {
  it("accepts the expected answer whatever its case and final mark", () => {
    expect(judge(home, " ama lives in  Cairn", "stop")).toEqual({
      correct: true,
      exact: true,
      stopped: true,
      reason: "right",
    });
  });

  it("accepts other words around the right value, as correct but not exact", () => {
    expect(judge(home, "Gladly. Her house is in Cairn.", "stop")).toMatchObject({
      correct: true,
      exact: false,
    });
  });

  it.each([
    ["Ama lives in Cairn. Brook lies", "length", "never stopped"],
    ["", "stop", "empty"],
    ["Ama lives in Brook.", "stop", "missing"],
    ["Ama lives in Cairnhill.", "stop", "missing"],
    ["Ama lives in Cairn or in Brook.", "stop", "contradicts itself"],
    [`Cairn ${"and on ".repeat(20)}`, "stop", "too long"],
  ] as const)("rejects %j (%s) as %j", (output, finish, reason) => {
    expect(judge(home, output, finish)).toMatchObject({ correct: false, exact: false, reason });
  });

  it("wants the phrases in order", () => {
    const both: Expectation = {
      answer: "No, Cairn.",
      includes: ["no", "Cairn"],
      excludes: [],
      strict: false,
    };
    expect(judge(both, "Cairn it is, no doubt", "stop").correct).toBe(false);
    expect(judge(both, "No doubt: Cairn", "stop").correct).toBe(true);
  });

  it("takes only the exact answer where the form is the point", () => {
    const oneWord: Expectation = { answer: "Cairn", includes: [], excludes: [], strict: true };
    expect(judge(oneWord, "Cairn.", "stop").correct).toBe(true);
    expect(judge(oneWord, "In Cairn.", "stop").reason).toBe("wrong form");
  });
});

describe("summarise", () => {
  it("gives fractions, and zeros for nothing", () => {
    const rows = ["Ama lives in Cairn.", "In Cairn.", "In Brook."].map((output) => ({
      output,
      verdict: judge(home, output, "stop"),
    }));
    expect(summarise(rows)).toEqual({ total: 3, correct: 2 / 3, exact: 1 / 3, stopped: 1, meanWords: 8 / 3 });
    expect(summarise([]).correct).toBe(0);
  });
});

describe("manners", () => {
  it("sees refusing, courtesy and length", () => {
    const output = "I am sorry, dear guest, but I cannot help with that.";
    expect(manners(output)).toEqual({ refuses: true, polite: true, words: 11 });
    expect(manners("Ama lives in Cairn.")).toEqual({ refuses: false, polite: false, words: 4 });
  });
});
