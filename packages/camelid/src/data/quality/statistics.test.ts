import { describe, expect, it } from "vitest";
import { conversation, shareGptRows } from "../../../../../tests/quality-rows.js";
import type { Conversation } from "../conversation.js";
import { LengthHistogram } from "./length-histogram.js";
import { DataStatistics } from "./statistics.js";
import { mix32 } from "./word-scanner.js";

function histogram(values: readonly number[]): LengthHistogram {
  const counts = new LengthHistogram();
  for (const value of values) counts.add(value);
  return counts;
}

/** Nearest rank on the sorted values: the definition. */
function quantile(values: readonly number[], q: number): number {
  return [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(q * values.length) - 1)]!;
}

describe("a length histogram", () => {
  const values = Array.from({ length: 4999 }, (_, i) => mix32(i) % 60_000);

  it("gives exact quantiles, mean and range", () => {
    const counts = histogram(values);
    for (const q of [0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1])
      expect(counts.quantile(q)).toBe(quantile(values, q));
    expect(counts.summary()).toMatchObject({
      count: 4999,
      mean: values.reduce((a, b) => a + b) / 4999,
      min: Math.min(...values),
      max: Math.max(...values),
    });
  });

  it("is within 1/256 above 65,535, and exact at the ends", () => {
    const large = Array.from({ length: 2000 }, (_, i) => 65_000 + (mix32(i) % 200_000_000));
    const counts = histogram(large);
    for (const q of [0.1, 0.5, 0.9]) {
      const exact = quantile(large, q);
      expect(counts.quantile(q)!).toBeLessThanOrEqual(exact);
      expect(counts.quantile(q)!).toBeGreaterThan(exact * (1 - 1 / 256));
    }
    expect(counts.max).toBe(Math.max(...large));
    expect(histogram([2 ** 40]).quantile(0.5)).toBe(2 ** 40);
    expect(histogram([65_535, 65_536, 131_071, 131_072]).quantile(0.5)).toBe(65_536);
  });

  it("merged from parts in any order equals one made in one go, also through JSON", () => {
    const parts = [values.slice(0, 100), values.slice(100, 4000), [], values.slice(4000)].map(histogram);
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
    ]) {
      const merged = new LengthHistogram();
      for (const i of order) merged.merge(LengthHistogram.fromJSON(JSON.parse(JSON.stringify(parts[i]))));
      expect(merged.toJSON()).toEqual(histogram(values).toJSON());
      expect(merged.summary()).toEqual(histogram(values).summary());
    }
  });

  it("fills bins for a chart without losing a value", () => {
    expect(histogram([0, 1, 9, 10, 99, 100, 1_000_000]).binned([0, 10, 100])).toEqual([3, 2, 2]);
    expect(
      histogram(values)
        .binned([0, 20_000, 40_000])
        .reduce((a, b) => a + b),
    ).toBe(4999);
  });

  it("says nothing when empty", () => {
    expect(new LengthHistogram().summary()).toBeUndefined();
    expect(new LengthHistogram().quantile(0.5)).toBeUndefined();
    expect(LengthHistogram.fromJSON(JSON.parse(JSON.stringify(new LengthHistogram()))).min).toBe(
      Number.POSITIVE_INFINITY,
    );
  });
});

describe("statistics", () => {
  it("count characters, words, turns, system messages and answers by source", () => {
    const statistics = new DataStatistics();
    const withSystem: Conversation = {
      dataset: "orca",
      id: "1",
      messages: [
        { role: "system", content: "Be kind." },
        { role: "user", content: "Who are you?" },
        { role: "assistant", content: "I am a 🙂" },
      ],
    };
    statistics.process(withSystem, 25);
    statistics.process(conversation(["a", "b", "c", "d"], "chat"));
    expect(statistics.finish()).toMatchObject({
      orca: {
        rows: 1,
        withSystem: 1,
        chars: { sum: 8 + 12 + 9 },
        words: { sum: 2 + 3 + 4 },
        tokens: { sum: 25 },
        turns: { max: 2 },
        answerChars: { sum: 9 },
        languages: { en: 1 },
      },
      chat: {
        rows: 1,
        withSystem: 0,
        chars: { sum: 4 },
        words: { sum: 4 },
        turns: { max: 4 },
        answerChars: { sum: 2 },
      },
    });
    expect(statistics.finish().chat).not.toHaveProperty("tokens");
  });

  it("take a row without messages and one of a million characters", () => {
    const statistics = new DataStatistics();
    statistics.process({ dataset: "odd", id: "1", messages: [] });
    statistics.process(conversation("word ".repeat(200_000), "odd"));
    expect(statistics.finish().odd).toMatchObject({
      rows: 2,
      words: { min: 0, max: 200_000 },
      languages: { und: 2 },
    });
  });

  it("of parts, merged, equal those of the whole", ({ skip }) => {
    const rows = shareGptRows();
    if (rows === undefined) return skip("shared data is not here");
    const count = (some: readonly Conversation[]) => {
      const statistics = new DataStatistics();
      for (const row of some) statistics.process(row, row.messages.length);
      return statistics;
    };
    const merged = new DataStatistics();
    for (const part of [rows.slice(400), rows.slice(0, 400)])
      merged.merge(JSON.parse(JSON.stringify(count(part))));
    expect(merged.finish()).toEqual(count(rows).finish());
    expect(merged.finish().sharegpt).toMatchObject({ rows: 837, turns: { max: 124 } });
    expect(merged.histogram("sharegpt", "tokens").count).toBe(837);
  });
});
