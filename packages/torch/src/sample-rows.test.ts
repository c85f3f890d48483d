/** The sampler against its definition in plain float64 numbers, borders and ties by hand. */
import { describe, expect, test } from "vitest";
import * as torch from "./index.js";

torch.setNumThreads(1);

interface Choice {
  temperature?: number;
  topP?: number;
  topK?: number;
  uniform?: number;
}

function sample(
  rows: readonly (readonly number[])[],
  choices: readonly Choice[],
  dtype: torch.DType = "float32",
): number[] {
  using _ = torch.tensorScope();
  const doubles = (of: (choice: Choice) => number) => torch.tensor(Float64Array.from(choices, of));
  const args = [
    torch.tensor(rows.flat(), { dtype: "float64" }).view([rows.length, -1]).to({ dtype }),
    doubles(({ temperature = 1 }) => temperature),
    doubles(({ topP = 1 }) => topP),
    torch.tensor(Int32Array.from(choices, ({ topK = 0 }) => topK)),
    doubles(({ uniform = 0 }) => uniform),
  ] as const;
  const ids = torch.sampleRows(...args).toArray();
  // The one that runs where the logits are, of ATen operators, chooses the same.
  expect(torch.sampleOnDevice(...args).toArray()).toEqual(ids);
  return ids;
}

/** Which ids a choice can give at all, by asking for every part of the unit interval. */
function reachable(logits: readonly number[], choice: Choice): number[] {
  const steps = Array.from({ length: 400 }, (_, i) => ({ ...choice, uniform: i / 400 }));
  return [
    ...new Set(
      sample(
        steps.map(() => logits),
        steps,
      ),
    ),
  ].sort((a, b) => a - b);
}

/** Kept ids and their probabilities, by definition. */
function distribution(
  logits: readonly number[],
  { temperature = 1, topP = 1, topK = 0 }: Choice,
): Map<number, number> {
  const order = logits.map((_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const limited = topK > 0 ? order.slice(0, topK) : order;
  const weights = new Map(limited.map((id) => [id, Math.exp(logits[id]! / temperature)]));
  const total = [...weights.values()].reduce((a, b) => a + b, 0);
  const kept: number[] = [];
  for (let sum = 0; kept.length < limited.length && sum < topP * total; ) {
    const id = limited[kept.length]!;
    kept.push(id);
    sum += weights.get(id)!;
  }
  const keptTotal = kept.reduce((sum, id) => sum + weights.get(id)!, 0);
  return new Map(kept.map((id) => [id, weights.get(id)! / keptTotal]));
}

test("greedy takes the highest logit, the smallest id among equals", () => {
  const rows = [
    [0, 3, 3, 1],
    [-5, -5, -5, -5],
    [1, 2, Number.NEGATIVE_INFINITY, 9],
  ];
  const choices = rows.map(() => ({ temperature: 0, uniform: 0.99 }));
  for (const dtype of ["float32", "bfloat16", "float64"] as const)
    expect(sample(rows, choices, dtype)).toEqual([1, 0, 3]);
});

describe("top-p by hand", () => {
  // Probabilities 1/2, 1/4, 1/8, 1/8 as logits: ids 2, 0, 3, 1.
  const logits = [Math.log(2), 0, Math.log(4), 0];
  test.each([
    [0.01, [2]],
    [0.49, [2]],
    [0.51, [0, 2]],
    [0.74, [0, 2]],
    // The last two are equal: the smaller id comes first.
    [0.76, [0, 1, 2]],
    [0.874, [0, 1, 2]],
    [0.876, [0, 1, 2, 3]],
    [1, [0, 1, 2, 3]],
  ])("%d keeps %j: the token that crosses the border belongs to it", (topP, ids) => {
    expect(reachable(logits, { topP })).toEqual(ids);
  });

  test("temperature comes first: a sharper distribution reaches the border with fewer tokens", () => {
    // At temperature 1/2 the probabilities are 16, 4, 1, 1 of 22.
    expect(reachable(logits, { topP: 0.72, temperature: 0.5 })).toEqual([2]);
    expect(reachable(logits, { topP: 0.72, temperature: 1 })).toEqual([0, 2]);
  });

  test("counts within what top-k left over", () => {
    // Of ids 2 and 0 the first has 2/3.
    expect(reachable(logits, { topK: 2, topP: 0.66 })).toEqual([2]);
    expect(reachable(logits, { topK: 2, topP: 0.67 })).toEqual([0, 2]);
  });
});

test("top-k keeps exactly k, smaller ids first among equals", () => {
  const logits = [1, 7, 7, 1, 7, 1];
  expect(reachable(logits, { topK: 1 })).toEqual([1]);
  expect(reachable(logits, { topK: 2 })).toEqual([1, 2]);
  expect(reachable(logits, { topK: 4, temperature: 20 })).toEqual([0, 1, 2, 4]);
  expect(reachable(logits, { topK: 99, temperature: 20 })).toEqual([0, 1, 2, 3, 4, 5]);
});

test.each<Choice>([
  {},
  { temperature: 0.7 },
  { temperature: 2, topK: 37 },
  { topP: 0.9 },
  { temperature: 1.3, topP: 0.95, topK: 120 },
  { topP: 0.999 },
])("draws follow the definition: %j", (choice) => {
  torch.manualSeed(5);
  using _ = torch.tensorScope();
  const logits = torch.randn([700]).mul(2.5).toArray();
  const expected = distribution(logits, choice);
  // An even net of numbers gives each token its share, up to a step at each end.
  const steps = 4000;
  const counts = new Map<number, number>();
  for (let at = 0; at < steps; at += 500) {
    const part = Array.from({ length: 500 }, (_, i) => ({ ...choice, uniform: (at + i + 0.5) / steps }));
    for (const id of sample(
      part.map(() => logits),
      part,
    ))
      counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const id of counts.keys()) expect(expected.has(id)).toBe(true);
  for (const [id, probability] of expected)
    expect(Math.abs((counts.get(id) ?? 0) / steps - probability)).toBeLessThan(1.2 / steps + 1e-5);
});

test("a row does not notice its neighbours or the threads", () => {
  torch.manualSeed(6);
  using _ = torch.tensorScope();
  const rows = Array.from({ length: 9 }, () => torch.randn([300]).toArray());
  const choices = rows.map((_, i) => ({ temperature: i / 4, topP: 0.9, uniform: (i * 0.37) % 1 }));
  const alone = rows.map((row, i) => sample([row], [choices[i]!])[0]);
  torch.setNumThreads(3);
  expect(sample(rows, choices)).toEqual(alone);
  torch.setNumThreads(1);
});

test("an extreme temperature draws nothing impossible", () => {
  const logits = [0, 5, Number.NEGATIVE_INFINITY, 4.999];
  expect(reachable(logits, { temperature: 1e-12 })).toEqual([1]);
  expect(reachable(logits, { temperature: 1e12 })).toEqual([0, 1, 3]);
});

test("logits that are no numbers are an error", () => {
  expect(() => sample([[0, Number.NaN]], [{}])).toThrow(/1 logits of a row are NaN/);
  expect(() => sample([[Number.NEGATIVE_INFINITY]], [{}])).toThrow(/finite/);
});
