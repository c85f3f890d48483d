import { describe, expect, test } from "vitest";
import { splitByContent } from "./held-out-rows.js";
import type { TrainRow } from "./train-rows.js";

const row = (place: number, token: number): TrainRow => ({
  ...{ id: `row-${place}`, dataset: "d", place },
  ...{ inputIds: Int32Array.of(1, token, 2), labels: Int32Array.of(-100, token, 2) },
});
const rows = Array.from({ length: 200 }, (_, i) => row(i, i));
const tokens = (some: readonly TrainRow[]): number[] =>
  some.map(({ inputIds }) => inputIds[1]!).sort((a, b) => a - b);

describe("held-out rows", () => {
  test("are as many as asked for, and never trained", () => {
    const { rows: trained, heldOut } = splitByContent(rows, 20, 42);
    expect(heldOut).toHaveLength(20);
    expect([...trained, ...heldOut].map(({ place }) => place).sort((a, b) => a - b)).toEqual(
      rows.map(({ place }) => place),
    );
  });

  test("are the same rows wherever they stand, others with another seed", () => {
    const { heldOut } = splitByContent(rows, 20, 42);
    expect(tokens(splitByContent([...rows].reverse(), 20, 42).heldOut)).toEqual(tokens(heldOut));
    expect(tokens(splitByContent(rows, 20, 43).heldOut)).not.toEqual(tokens(heldOut));
  });

  test("take their duplicates with them", () => {
    const twice = [...rows, ...rows.map(({ inputIds }, i) => row(200 + i, inputIds[1]!))];
    const { rows: trained, heldOut } = splitByContent(twice, 21, 42);
    expect(heldOut).toHaveLength(22);
    const trainedTokens = new Set(tokens(trained));
    expect(tokens(heldOut).filter((token) => trainedTokens.has(token))).toEqual([]);
  });
});
