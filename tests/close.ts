/**
 * A Vitest matcher for numbers that agree up to rounding. Importing this file registers it:
 *
 *     import "../close.js";
 *     expect(logits).toBeAllClose(reference, { atol: 1e-5, rtol: 1e-5 });
 *
 * Close means |received - expected| <= atol + rtol |expected|, element by element, as in numpy. NaN is close to nothing,
 * an infinity only to itself. Tolerances have no defaults: every test says how close it means.
 */
import { expect } from "vitest";

export interface Tolerance {
  /** Absolute part, in the unit of the values. */
  atol: number;
  /** Relative to the expected value. */
  rtol: number;
}

type Numbers = number | readonly Numbers[] | ArrayLike<number | bigint>;
/** Plain or nested numbers, a typed array, a tensor, or a stored reference tensor. */
export type Comparable =
  | Numbers
  | { readonly shape: readonly number[]; toTypedArray(): ArrayLike<number | bigint> }
  | { readonly shape: readonly number[]; readonly data: ArrayLike<number | bigint> };

declare module "vitest" {
  interface Matchers<T> {
    /** Element-wise |received - expected| <= atol + rtol |expected|; shapes must agree where both sides have one. */
    toBeAllClose(expected: Comparable, tolerance: Tolerance): T;
  }
}

expect.extend({
  toBeAllClose(received: Comparable, expected: Comparable, tolerance: Tolerance) {
    const problem = describeDifference(received, expected, tolerance);
    return {
      pass: problem === undefined,
      message: () => problem ?? `every value is within atol ${tolerance.atol}, rtol ${tolerance.rtol}`,
    };
  },
});

/** What is wrong, naming the worst element; `undefined` when everything is close. */
export function describeDifference(
  received: Comparable,
  expected: Comparable,
  { atol, rtol }: Tolerance,
): string | undefined {
  const [receivedShape, expectedShape] = [shapeOf(received), shapeOf(expected)];
  if (
    receivedShape !== undefined &&
    expectedShape !== undefined &&
    !sameShape(receivedShape, expectedShape)
  ) {
    return `shapes differ: received [${receivedShape}], expected [${expectedShape}]`;
  }
  const [actual, wanted] = [flatten(received), flatten(expected)];
  if (actual.length !== wanted.length) {
    return `lengths differ: received ${actual.length} numbers, expected ${wanted.length}`;
  }
  let far = 0;
  let worst = { index: -1, excess: 0 };
  for (let index = 0; index < wanted.length; index++) {
    const excess = excessOf(actual[index]!, wanted[index]!, atol, rtol);
    if (excess <= 0) continue;
    far++;
    if (excess > worst.excess) worst = { index, excess };
  }
  if (far === 0) return undefined;
  const [got, want] = [actual[worst.index]!, wanted[worst.index]!];
  const place = placeOf(worst.index, receivedShape ?? expectedShape);
  return (
    `${far} of ${wanted.length} numbers are not close; the worst at ${place}: received ${got}, expected ${want}, ` +
    `difference ${Math.abs(got - want)}, allowed ${atol + rtol * Math.abs(want)} (atol ${atol}, rtol ${rtol})`
  );
}

/** How far a pair lies beyond what is allowed; positive means not close. */
function excessOf(actual: number, wanted: number, atol: number, rtol: number): number {
  if (Object.is(actual, wanted)) return Number.isNaN(wanted) ? Number.POSITIVE_INFINITY : 0;
  const excess = Math.abs(actual - wanted) - (atol + rtol * Math.abs(wanted));
  return Number.isFinite(excess) ? excess : Number.POSITIVE_INFINITY;
}

function flatten(values: Comparable): number[] {
  if (typeof values === "number") return [values];
  if ("toTypedArray" in values) return Array.from(values.toTypedArray(), Number);
  if ("data" in values) return Array.from(values.data, Number);
  if (Array.isArray(values)) return (values as readonly Numbers[]).flatMap(flatten);
  return Array.from(values as ArrayLike<number | bigint>, Number);
}

function shapeOf(values: Comparable): readonly number[] | undefined {
  return typeof values === "object" && "shape" in values ? values.shape : undefined;
}

function sameShape(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((size, dimension) => size === right[dimension]);
}

/** `[2, 0, 5]` where the shape is known, else the flat index. */
function placeOf(index: number, shape: readonly number[] | undefined): string {
  if (shape === undefined || shape.length < 2) return `index ${index}`;
  const place: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${place.join(", ")}]`;
}
