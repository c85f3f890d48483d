import { describe, expect, test } from "vitest";
import { describeDifference } from "./close.js";

describe("toBeAllClose", () => {
  test("accepts a difference up to atol + rtol |expected| and rejects one beyond it", () => {
    expect([1.5, 100.75]).toBeAllClose([1.5, 100], { atol: 0.25, rtol: 0.005 });
    expect([1.5, 100.76]).not.toBeAllClose([1.5, 100], { atol: 0.25, rtol: 0.005 });
  });

  test("takes nested lists, typed arrays of any kind and tensors alike", () => {
    const tensor = { shape: [2, 2], toTypedArray: () => new Float32Array([1, 2, 3, 4]) };
    const stored = { shape: [2, 2], data: new Float64Array([1, 2, 3, 4]) };
    expect(tensor).toBeAllClose(stored, { atol: 0, rtol: 0 });
    expect([
      [1, 2],
      [3, 4],
    ]).toBeAllClose(BigInt64Array.of(1n, 2n, 3n, 4n), { atol: 0, rtol: 0 });
    expect(0.1 + 0.2).toBeAllClose(0.3, { atol: 1e-15, rtol: 0 });
  });

  test("NaN is close to nothing and an infinity only to itself", () => {
    const loose = { atol: 1e9, rtol: 1 };
    expect([Number.NaN]).not.toBeAllClose([Number.NaN], loose);
    expect([0]).not.toBeAllClose([Number.NaN], loose);
    expect([Number.NaN]).not.toBeAllClose([0], loose);
    expect([Number.NEGATIVE_INFINITY]).toBeAllClose([Number.NEGATIVE_INFINITY], loose);
    expect([Number.POSITIVE_INFINITY]).not.toBeAllClose([Number.NEGATIVE_INFINITY], loose);
    expect([1]).not.toBeAllClose([Number.POSITIVE_INFINITY], loose);
  });

  test("zero and minus zero are close", () => {
    expect([-0]).toBeAllClose([0], { atol: 0, rtol: 0 });
  });

  test("the message names the worst element by its place in the shape", () => {
    const received = { shape: [2, 3], data: [0, 0, 0, 0, 0.5, 0.25] };
    const message = describeDifference(received, [0, 0, 0, 0, 0, 0], { atol: 0.01, rtol: 0 });
    expect(message).toBe(
      "2 of 6 numbers are not close; the worst at [1, 1]: received 0.5, expected 0, difference 0.5, allowed 0.01 (atol 0.01, rtol 0)",
    );
  });

  test("differing shapes and lengths are said as such", () => {
    const tolerance = { atol: 1, rtol: 0 };
    const wide = { shape: [1, 2], data: [0, 0] };
    const tall = { shape: [2, 1], data: [0, 0] };
    expect(describeDifference(wide, tall, tolerance)).toBe("shapes differ: received [1,2], expected [2,1]");
    expect(describeDifference([1, 2], [1], tolerance)).toBe("lengths differ: received 2 numbers, expected 1");
    expect(describeDifference([], [1], tolerance)).toBe("lengths differ: received 0 numbers, expected 1");
  });
});
