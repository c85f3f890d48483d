import { expect, test } from "vitest";
import { profileSummary, profileText } from "./profile-text.js";

const operator = (name: string, phase: string, ms: number) => ({ name, phase, calls: 3, ms });
const PROFILE = {
  event: "step-profiled" as const,
  step: 3,
  duration_ms: 200,
  tokens: 1000,
  device: "cpu",
  trace: "profile-step-3.trace.json",
  phases: [
    { name: "forward", ms: 150 },
    { name: "other", ms: 50 },
  ],
  operators: [
    operator("aten::mm", "forward", 100),
    operator("torch::autograd::CppNode<camelid::(anonymous namespace)::RmsNorm>", "backward", 40),
    ...Array.from({ length: 20 }, (_, i) => operator(`aten::small_${i}`, "forward", 1)),
  ],
};

test("the parts of a step are matrix products, other operators, and what lies between", () => {
  const { matrixProducts, otherOperators, betweenOperators } = profileSummary(PROFILE);
  expect([matrixProducts, otherOperators, betweenOperators]).toEqual([0.5, 0.3, expect.closeTo(0.2, 9)]);
});

test("the table names the costliest operators, sums up the others, and fits a terminal", () => {
  const text = profileText(PROFILE);
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(text).toContain("5,000 tokens/s");
  expect(text).toMatch(/forward +mm +3 +100\.00 +50\.0 %/);
  expect(text).toMatch(/backward +RmsNorm backward +3 +40\.00 +20\.0 %/);
  expect(text).toMatch(/10 more +30 +10\.00 +5\.0 %/);
  expect(text).not.toContain("time to start them");
  expect(profileText({ ...PROFILE, device: "cuda:0" })).toContain("time to start them");
});
