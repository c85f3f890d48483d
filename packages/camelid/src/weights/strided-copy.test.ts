import { expect, test } from "vitest";
import { isContiguous, stridedCopy } from "./strided-copy.js";

/** Element by element, in row-major order: the definition. */
function slowCopy(source: Uint8Array, itemSize: number, shape: number[], strides: number[]): number[] {
  const visit = (dimension: number, from: number): number[] =>
    dimension === shape.length
      ? [...source.subarray(from * itemSize, (from + 1) * itemSize)]
      : Array.from({ length: shape[dimension]! }, (_, i) =>
          visit(dimension + 1, from + i * strides[dimension]!),
        ).flat();
  return visit(0, 0);
}

const source = Uint8Array.from({ length: 480 }, (_, i) => (i * 7) % 256);

test.each([1, 2, 4, 8])("items of %i bytes land in row-major order, whatever the strides", (itemSize) => {
  const cases: [number[], number[]][] = [
    [[], []],
    [[3], [2]],
    [
      [4, 3],
      [1, 4],
    ], // transposed
    [
      [2, 3],
      [7, 2],
    ],
    [
      [3, 2],
      [0, 1],
    ], // expanded
    [
      [5, 3, 4],
      [1, 20, 5],
    ], // permuted, as in (3, 4, 5) -> (5, 3, 4)
    [
      [4, 3, 5],
      [5, 20, 1],
    ], // rows stay whole
    [
      [1, 3, 1],
      [99, 2, 50],
    ], // strides of single dimensions mean nothing
  ];
  for (const [shape, strides] of cases) {
    expect([...stridedCopy(source, itemSize, shape, strides)], String(shape)).toEqual(
      slowCopy(source, itemSize, shape, strides),
    );
  }
});

test("row-major tensors are recognised", () => {
  expect(isContiguous([2, 3], [3, 1])).toBe(true);
  expect(isContiguous([2, 1, 3], [3, 77, 1])).toBe(true);
  expect(isContiguous([0, 3], [5, 9])).toBe(true);
  expect(isContiguous([], [])).toBe(true);
  expect(isContiguous([2, 3], [1, 2])).toBe(false);
  expect(isContiguous([2, 3], [4, 1])).toBe(false);
  expect(isContiguous([3], [0])).toBe(false);
});
