import { describe, expect, it } from "vitest";
import { conversation, realInstructionRows } from "../../../../../tests/quality-rows.js";
import type { Conversation } from "../conversation.js";
import { HeldOutSplit } from "./held-out.js";
import { NearDeduplicator } from "./near-dedup.js";

function split(
  rows: readonly Conversation[],
  fraction: number,
  options: { seed?: number; clusters?: number[] } = {},
) {
  const { seed = 0, clusters } = options;
  const heldOut = new HeldOutSplit({ fraction, seed });
  for (const row of rows) heldOut.process(row);
  return heldOut.finish(clusters && Uint32Array.from(clusters));
}

const rows = Array.from({ length: 20_000 }, (_, i) =>
  conversation(`prompt number ${i}`, i % 2 ? "odd" : "even"),
);

describe("the held-out split", () => {
  it("holds out about the fraction asked for, in every source", () => {
    const { summary } = split(rows, 0.05);
    expect(summary).toMatchObject({ rows: 20_000, movedByClusters: 0 });
    for (const { heldOut } of Object.values(summary.perSource)) {
      expect(heldOut).toBeGreaterThan(500 - 5 * 22); // binomial, sd 21.8
      expect(heldOut).toBeLessThan(500 + 5 * 22);
    }
  });

  it("is nothing at 0 and everything at 1", () => {
    expect(split(rows, 0).summary.heldOut).toBe(0);
    expect(split(rows, 1).summary.heldOut).toBe(20_000);
  });

  it("depends on content and seed, not on order or on other rows", () => {
    const chosen = (some: readonly Conversation[], seed = 0) => {
      const { heldOut } = split(some, 0.1, { seed });
      return new Set(some.filter((_, i) => heldOut[i]).map((row) => row.messages[0]!.content));
    };
    const all = chosen(rows);
    expect(chosen([...rows].reverse())).toEqual(all);
    const half = rows.slice(5000, 15_000);
    expect(chosen(half)).toEqual(
      new Set(half.map((row) => row.messages[0]!.content).filter((text) => all.has(text))),
    );
    const other = chosen(rows, 1);
    expect([...other].filter((text) => all.has(text)).length / other.size).toBeLessThan(0.2);
  });

  it("a larger fraction only adds rows", () => {
    const small = split(rows, 0.02).heldOut;
    const large = split(rows, 0.2).heldOut;
    expect(small.every((held, i) => held <= large[i]!)).toBe(true);
  });

  it("puts equal rows on one side without any clusters", () => {
    const copies = rows
      .slice(0, 1000)
      .flatMap((row) => [row, conversation(` ${row.messages[0]!.content}\n`, "copy")]);
    const { heldOut } = split(copies, 0.3);
    for (let i = 0; i < copies.length; i += 2) expect(heldOut[i]).toBe(heldOut[i + 1]);
  });

  it("keeps each cluster together, whichever order its rows come in", () => {
    const clusters = rows.map((_, i) => i - (i % 5));
    const { heldOut, summary } = split(rows, 0.1, { clusters });
    for (let i = 0; i < rows.length; i++) expect(heldOut[i]).toBe(heldOut[clusters[i]!]);
    expect(summary.heldOut).toBeGreaterThan(1500);
    expect(summary.heldOut).toBeLessThan(2500);
    expect(summary.movedByClusters).toBeGreaterThan(0);
    const reversed = split([...rows].reverse(), 0.1, { clusters: [...clusters].reverse() });
    expect([...reversed.heldOut].reverse()).toEqual([...heldOut]);
  });

  it("no near-duplicate cluster of the real rows crosses", ({ skip }) => {
    const real = realInstructionRows();
    if (real === undefined) return skip("shared data is not here");
    const near = new NearDeduplicator();
    for (const row of real) near.process(row);
    const { clusterOf } = near.finish();
    const { heldOut, summary } = split(real, 0.1, { clusters: [...clusterOf] });
    expect(clusterOf.filter((first, row) => first !== row).length).toBeGreaterThan(1000);
    clusterOf.forEach((first, row) => {
      expect(heldOut[row]).toBe(heldOut[first]);
    });
    expect(summary.movedByClusters).toBeGreaterThan(0);
  });

  it("refuses fractions outside 0 to 1 and clusters of another length", () => {
    for (const fraction of [-0.1, 1.5, Number.NaN]) expect(() => split([], fraction)).toThrow(/fraction/);
    expect(() => split(rows.slice(0, 3), 0.1, { clusters: [0] })).toThrow(/1 clusters for 3 rows/);
  });
});
