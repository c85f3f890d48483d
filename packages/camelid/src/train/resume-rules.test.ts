import { describe, expect, test } from "vitest";
import type { CheckpointManifest } from "../run/checkpoint-folder.js";
import { compareEnvironment, compareSettings } from "./resume-rules.js";

const before = {
  ...{
    out: "run",
    model: "base",
    data: "rows.jsonl",
    seed: 42,
    threads: 1,
    packing: true,
    saveEverySteps: 3,
  },
  ...{ microBatchSize: 2, gradAccumSteps: 8, lossReduction: "token-mean", lora: { rank: 8 } },
};
const compare = (changes: object) => compareSettings(before, { ...before, ...changes });
const refused = (changes: object) => () => compare(changes);

describe("settings on resume", () => {
  test("what has no influence on the weights may change, and is recorded", () => {
    expect(compare({})).toEqual({ changed: [], inexact: [] });
    expect(compare({ saveEverySteps: null, out: "moved" })).toEqual({
      changed: ['out: "run" -> "moved"', "saveEverySteps: 3 -> null"],
      inexact: [],
    });
  });

  test("what a run only looks at may change", () => {
    const looks = { answerPrompts: 16, evalData: null, evalEverySteps: null };
    const others = { answerPrompts: null, evalData: "held-out.jsonl", evalEverySteps: 50 };
    const { changed, inexact } = compareSettings({ ...before, ...looks }, { ...before, ...others });
    expect(changed).toHaveLength(3);
    expect(inexact).toEqual([]);
  });

  test("the same rows a step may be split otherwise, at the price of other last bits", () => {
    const { inexact } = compare({ microBatchSize: 4, gradAccumSteps: 4, packing: false });
    expect(inexact).toEqual(["packing: true -> false", "microBatchSize: 2 -> 4", "gradAccumSteps: 8 -> 4"]);
  });

  test("but not where the mean of micro-batches is trained, for there the split decides the loss", () => {
    const split = { microBatchSize: 4, gradAccumSteps: 4 };
    const means = { ...before, lossReduction: "microbatch-mean" };
    expect(() => compareSettings(means, { ...means, ...split })).toThrow(/microBatchSize: 2 -> 4/);
  });

  test("everything else is refused, all at once, also a setting that these rules do not know", () => {
    expect(refused({ seed: 1, gradAccumSteps: 4, lora: { rank: 16 } })).toThrow(
      expect.objectContaining({
        code: "ERR_RESUME_SETTINGS",
        message:
          "with these settings it would be another run: seed: 42 -> 1; gradAccumSteps: 8 -> 4; lora.rank: 8 -> 16.",
      }),
    );
  });

  test("a setting that the version before did not have is no difference", () => {
    expect(compare({ newKnob: true })).toEqual({ changed: [], inexact: [] });
  });
});

describe("machine and versions on resume", () => {
  const environment = {
    device: "cpu",
    threads: 2,
    libtorch: "2.13.0",
    cpu: "A",
    node: "v20",
    camelid: "0.1.0",
  };
  const warn = (after: object, world = 1) =>
    compareEnvironment(
      { environment, world } as unknown as CheckpointManifest,
      { ...environment, ...after } as typeof environment,
      [],
    );

  test("the same ones need no word", () => {
    expect(warn({})).toEqual([]);
  });

  test.each([
    [{ libtorch: "2.14.0" }, "libtorch: 2.13.0 -> 2.14.0"],
    [{ cpu: "B", threads: 4 }, "threads: 2 -> 4; cpu: A -> B"],
  ])("%o changes last bits", (after, text) => {
    expect(warn(after)).toEqual([
      {
        code: "RESUME_NOT_EXACT",
        message: `what follows equals an unbroken run only up to rounding, because of ${text}`,
      },
    ]);
  });

  test("another number of processes changes last bits; another Node.js or Camelid is only told", () => {
    expect(warn({}, 4)[0]).toMatchObject({ code: "RESUME_NOT_EXACT", message: /processes: 4 -> 1/ });
    expect(warn({ node: "v22", camelid: "0.2.0" })[0]).toMatchObject({
      code: "RESUME_OTHER_VERSION",
      message: /node: v20 -> v22; camelid: 0\.1\.0 -> 0\.2\.0/,
    });
  });
});
