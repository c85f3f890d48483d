/** A schedule that does not end at 0, by hand; the rest against transformers in tests/parity/optim.test.ts. */
import { describe, expect, test } from "vitest";
import { scheduleCheck } from "../preflight/schedule-check.js";
import { learningRateSchedule } from "./schedules.js";

/** Two steps of warm-up, eight of falling: the update after the tenth would have the last rate. */
const plan = { learningRate: 1, endLearningRate: 0.1, warmupRatio: 0.2, totalSteps: 10 };

describe("a schedule with an end of its own", () => {
  test.each([
    // rises from 0; from the third update on 0.1 + 0.9 * (share that is left)
    ["linear", [0, 0.5, 1, 0.8875, 0.775, 0.6625, 0.55, 0.4375, 0.325, 0.2125, 0.1]],
    // 0.1 + 0.45 * (1 + cos(pi * share that is done))
    ["cosine", [0, 0.5, 1, 0.96575, 0.8682, 0.72221, 0.55, 0.37779, 0.2318, 0.13425, 0.1]],
  ] as const)("%s", (schedule, expected) => {
    const rate = learningRateSchedule({ ...plan, schedule });
    expected.forEach((value, i) => {
      expect(rate(i + 1)).toBeCloseTo(value, 4);
    });
    expect(scheduleCheck(rate, { ...plan, schedule })).toMatchObject({ status: "ok" });
    expect(scheduleCheck(rate, { ...plan, schedule, endLearningRate: 0 })).toMatchObject({ status: "fail" });
  });

  test.each([
    ["of a constant rate", { schedule: "constant" as const }, /has no other end/],
    ["above the peak", { schedule: "linear" as const, endLearningRate: 2 }, /would not fall/],
  ])("%s is refused", (_name, changes, says) => {
    expect(() => learningRateSchedule({ ...plan, ...changes })).toThrow(says);
  });
});
