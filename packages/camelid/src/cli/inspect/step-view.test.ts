import { expect, test } from "vitest";
import { rowsOfStep } from "../../data/sampler.js";
import type { TrainRow } from "../../data/train-rows.js";
import { stepView } from "./step-view.js";

const LENGTHS = [30, 70, 10, 55, 45, 20, 90, 5];
const ROWS = LENGTHS.map((length, i): TrainRow => {
  const inputIds = Int32Array.from({ length }, (_, token) => token);
  const labels = inputIds.map((id, token) => (token % 2 === 1 ? id : -100));
  return { dataset: `source-${i}`, id: `row-${i}`, inputIds, labels, place: 10 * i };
});
const STEP = { step: 2, seed: 7, microBatchSize: 2, gradAccumSteps: 2, maxSeqLen: 50, packing: true };

test("every row of the step is shown once, in the micro-batch and at the place where it lies", () => {
  const text = stepView(ROWS, STEP);
  const expected = rowsOfStep(2, { seed: 7, numRows: 8, rowsPerStep: 4 }).map((place) => `row-${place}`);
  expect([...text.matchAll(/row-\d/g)].map(([id]) => id).sort()).toEqual(expected.sort());
  for (const part of text.split("micro-batch ").slice(2)) {
    const rows = [...part.matchAll(/^ +(\d+) +(\d+) +(\d+) +(\d+) {2}source-(\d)/gm)].map((match) =>
      match.slice(1).map(Number),
    ) as [number, number, number, number, number][];
    let at = 0;
    for (const [start, tokens, trained, number, index] of rows) {
      expect([start, tokens, trained, number]).toEqual([
        at,
        LENGTHS[index],
        Math.floor(LENGTHS[index]! / 2),
        10 * index + 1,
      ]);
      at += tokens;
    }
    expect(part).toContain(`${rows.length} rows, ${at} tokens`);
    expect(at).toBeLessThanOrEqual(100);
  }
});

test("without packing a micro-batch has its number of rows, in the step's order", () => {
  const text = stepView(ROWS, { ...STEP, packing: false });
  const order = rowsOfStep(2, { seed: 7, numRows: 8, rowsPerStep: 4 }).map((place) => `row-${place}`);
  expect([...text.matchAll(/row-\d/g)].map(([id]) => id)).toEqual(order);
  expect(text.match(/: 2 rows/g)).toHaveLength(2);
});

test("lines fit a terminal, whatever sources and rows are called", () => {
  const long = ROWS.map((row) => ({ ...row, dataset: "s".repeat(60), id: "i".repeat(200) }));
  for (const line of stepView(long, STEP).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
});
