import { expect, test } from "vitest";
import { shareOut } from "./share.js";

test("every micro-batch goes to exactly one rank, the long ones apart", () => {
  expect(shareOut([10, 1, 9, 2, 8], 2)).toEqual([
    [0, 1, 3],
    [2, 4],
  ]);
});

test("with fewer micro-batches than ranks some ranks have none", () => {
  expect(shareOut([5], 3)).toEqual([[0], [], []]);
});

test("equal costs are dealt in turn", () => {
  expect(shareOut([1, 1, 1, 1], 2)).toEqual([
    [0, 2],
    [1, 3],
  ]);
});
