import { expect, test } from "vitest";
import { codexEval, programOf } from "./codex-eval.js";
import { codeBlock, passAtK } from "./programs.js";
import { cleanAnswer, multipleChoice } from "./truthfulqa.js";

test("pass@k is the chance that one of k drawn samples passes", () => {
  expect(passAtK(20, 0, 10)).toBe(0);
  expect(passAtK(20, 20, 10)).toBe(1);
  expect(passAtK(20, 5, 1)).toBeCloseTo(5 / 20, 12);
  // 1 - C(17, 10) / C(20, 10) = 1 - 19448 / 184756
  expect(passAtK(20, 3, 10)).toBeCloseTo(1 - 19448 / 184756, 12);
  expect(passAtK(20, 11, 10)).toBe(1); // nine that fail cannot make up ten
  expect(() => passAtK(5, 1, 10)).toThrow(RangeError);
});

test("a code block is the one that holds the function, also when its fence never closes", () => {
  const answer =
    "Use it so:\n```\ndouble(2)\n```\nThe function:\n```python\ndef double(x):\n    return 2 * x\n```\nDone.";
  expect(codeBlock(answer, "def double(")).toBe("def double(x):\n    return 2 * x\n");
  expect(codeBlock("```py\nx = 1\n", "def f(")).toBe("x = 1\n");
  expect(codeBlock("  ```\n  x\n  ```", "f")).toBe("  x\n");
  expect(codeBlock("no code", "def f(")).toBeUndefined();
});

test("a completion keeps its first spaces; a chat answer brings the function again", () => {
  const item = {
    id: "HumanEval/0",
    prompt: "import math\ndef f(x):\n    '''doc'''\n",
    entryPoint: "f",
    test: "T",
  };
  const paper = { chat: true, profile: "tulu2-paper" } as const;
  const chat = { chat: true, profile: "standard" } as const;
  expect(programOf(item, "    return x\n", paper).program).toBe(`${item.prompt}    return x\n`);
  expect(programOf(item, "```python\ndef f(x):\n    return x\n```", chat).program).toBe(
    `${item.prompt}\ndef f(x):\n    return x\n`,
  );
  expect(programOf(item, "    return x", chat).program).toBe(`${item.prompt}    return x`);
  expect(programOf(item, "", paper).test).toBe("T\ncheck(f)");
  expect(codexEval.files[0]!.sha256).toHaveLength(64);
});

test("TruthfulQA: an answer is cut at the next question and loses its label", () => {
  const cases: [string, string][] = [
    [" A: Fish rest.\nQ: And birds?\nA: Too.", "Fish rest."],
    ["Fish\n\nrest.", "Fish rest."],
    ["A:A: twice", "A: twice"],
    ["Q: What?", ""],
    ["  ", ""],
    ["It is so.\nA: or not", "It is so.\nA: or not"],
  ];
  for (const [output, answer] of cases) expect(cleanAnswer(output), output).toBe(answer);
});

test("TruthfulQA MC: best above all false ones, share of probability, share of true ones above", () => {
  const item = { best: "b.", correct: ["a.", "b."], incorrect: ["c.", "d."] };
  const logps = [0.4, 0.1, 0.2, 0.3].map(Math.log);
  const { mc1, mc2, mc3 } = multipleChoice(item, logps);
  expect([mc1, mc3]).toEqual([0, 0.5]);
  expect(mc2).toBeCloseTo(0.5, 12);
  expect(multipleChoice({ ...item, best: "a." }, logps).mc1).toBe(1);
  // Long answers have log-probabilities whose powers are all zero.
  expect(multipleChoice(item, [-2000, -2001, -2002, -2003]).mc2).toBeCloseTo(
    (1 + Math.exp(-1)) / (1 + Math.exp(-1) + Math.exp(-2) + Math.exp(-3)),
    9,
  );
  expect(multipleChoice(item, [-1, -1, -1, -1]).mc1).toBe(0); // a tie is no win
});
