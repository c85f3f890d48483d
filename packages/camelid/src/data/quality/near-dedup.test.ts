import { describe, expect, it } from "vitest";
import { conversation, realInstructionRows } from "../../../../../tests/quality-rows.js";
import type { Conversation } from "../conversation.js";
import { equalBytesFor, estimatedJaccard, MinHasher } from "./minhash.js";
import { NearDeduplicator, type NearDedupOptions } from "./near-dedup.js";
import { mix32, WordScanner } from "./word-scanner.js";

/** Reproducible whole numbers below a limit. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 1) | 0;
    return mix32(mix32(state)) % below;
  };
}

function shingleSet(row: Conversation, n = 5): Set<string> {
  const scanner = new WordScanner();
  for (const { content } of row.messages) scanner.append(content);
  const words = [...scanner.hashes.subarray(0, scanner.count)];
  const length = Math.min(n, words.length);
  return new Set(
    Array.from({ length: words.length - length + 1 }, (_, i) => words.slice(i, i + length).join(" ")),
  );
}

function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let both = 0;
  for (const shingle of a) if (b.has(shingle)) both++;
  return both / (a.size + b.size - both);
}

function run(rows: readonly Conversation[], options: NearDedupOptions = {}) {
  const dedup = new NearDeduplicator(options);
  for (const row of rows) dedup.process(row);
  return dedup.finish();
}

const sentence = (random: (below: number) => number, words: number) =>
  Array.from({ length: words }, () => `w${random(5000)}`).join(" ");

describe("a MinHash sketch", () => {
  it("estimates the Jaccard similarity of small and large sets alike, without bias", () => {
    const size = 120;
    const random = numbers(1);
    const hasher = new MinHasher(size, 1, 7);
    const [a, b] = [new Uint8Array(size), new Uint8Array(size)];
    for (const shared of [4, 40, 400]) {
      for (const own of [1, 4, 20]) {
        const truth = shared / (shared + 2 * own);
        let sum = 0;
        let squares = 0;
        const trials = 300;
        for (let trial = 0; trial < trials; trial++) {
          const pool = Uint32Array.from({ length: shared + 2 * own }, () => mix32(random(2 ** 31)));
          const setB = Uint32Array.from([...pool.subarray(0, shared), ...pool.subarray(shared + own)]);
          hasher.sketch(pool, shared + own, a, 0);
          hasher.sketch(setB, shared + own, b, 0);
          const error = estimatedJaccard(a.filter((byte, i) => byte === b[i]).length, size) - truth;
          sum += error;
          squares += error * error;
        }
        // Theory: sd sqrt(J (1 - J) / 120), a little more for 8-bit fingerprints. Mean over 300 trials: 17 times less.
        const sd = Math.sqrt((truth * (1 - truth)) / size);
        expect(Math.abs(sum / trials), `bias at ${shared}+${own}`).toBeLessThan(0.25 * sd + 0.002);
        expect(Math.sqrt(squares / trials), `error at ${shared}+${own}`).toBeLessThan(1.25 * sd + 0.005);
      }
    }
  });

  it("fills every byte, even from one word, and differs by seed", () => {
    const sketch = (seed: number, ...words: number[]) => {
      const into = new Uint8Array(120);
      expect(new MinHasher(120, 5, seed).sketch(Uint32Array.from(words), words.length, into, 0)).toBe(true);
      return into;
    };
    // 120 uniform bytes hold a zero less than once; an unfilled bin would leave many.
    expect(sketch(0, 17).filter((byte) => byte === 0).length).toBeLessThan(6);
    expect(sketch(0, 17)).toEqual(sketch(0, 17));
    expect(sketch(0, 17)).not.toEqual(sketch(1, 17));
    expect(sketch(0, 17)).not.toEqual(sketch(0, 18));
  });

  it("writes nothing for a text without words", () => {
    const into = new Uint8Array(4).fill(9);
    expect(new MinHasher(4, 5, 0).sketch(new Uint32Array(8), 0, into, 0)).toBe(false);
    expect([...into]).toEqual([9, 9, 9, 9]);
  });

  it("turns similarity into equal bytes and back", () => {
    expect(estimatedJaccard(120, 120)).toBe(1);
    expect(estimatedJaccard(0, 120)).toBe(0);
    expect(equalBytesFor(1, 120)).toBe(120);
    for (const threshold of [0.5, 0.7, 0.8, 0.95]) {
      const enough = equalBytesFor(threshold, 120);
      expect(estimatedJaccard(enough, 120)).toBeGreaterThanOrEqual(threshold - 1e-9);
      expect(estimatedJaccard(enough - 1, 120)).toBeLessThan(threshold);
    }
  });
});

describe("near-deduplication", () => {
  it("agrees with brute force away from the threshold", () => {
    // Families of a text and copies with more and more words exchanged, among unrelated texts.
    const random = numbers(2);
    const rows: Conversation[] = [];
    for (let family = 0; family < 60; family++) {
      const base = sentence(random, 20 + random(300)).split(" ");
      for (let copy = 0; copy < 5; copy++) {
        const words = [...base];
        const edits = copy === 0 ? 0 : random(1 + Math.floor(base.length / 20));
        for (let edit = 0; edit < edits; edit++) words[random(words.length)] = `x${random(10_000)}`;
        rows.push(conversation(words.join(" ")));
      }
    }
    const sets = rows.map((row) => shingleSet(row));
    const { clusterOf, removed } = run(rows);
    let sure = 0;
    for (let a = 0; a < rows.length; a++) {
      for (let b = a + 1; b < rows.length; b++) {
        const truth = jaccard(sets[a]!, sets[b]!);
        if (truth >= 0.9) {
          sure++;
          expect(clusterOf[a], `rows ${a} and ${b}, similarity ${truth}`).toBe(clusterOf[b]);
        }
      }
    }
    expect(sure).toBeGreaterThan(100);
    removed.rows.forEach((row, i) => {
      const truth = jaccard(sets[row]!, sets[removed.winners[i]!]!);
      expect(truth).toBeGreaterThan(0.65); // 0.8 minus four standard errors of 0.037
      expect(Math.abs(truth - removed.similarity[i]!)).toBeLessThan(0.15);
    });
  });

  it("agrees with brute force on real rows", ({ skip }) => {
    const all = realInstructionRows();
    if (all === undefined) return skip("shared data is not here");
    // Every 6th row of each source, where the Alpaca subsets overlap; brute force over all pairs.
    const rows = all.filter((_, i) => i % 6 === 0);
    const sets = rows.map((row) => shingleSet(row));
    const { clusterOf, removed, summary } = run(rows);
    const byShingle = new Map<string, number[]>();
    sets.forEach((set, row) => {
      for (const shingle of set) byShingle.set(shingle, [...(byShingle.get(shingle) ?? []), row]);
    });
    let near = 0;
    let missed = 0;
    sets.forEach((set, row) => {
      const others = new Set(
        [...set].flatMap((shingle) => byShingle.get(shingle)!).filter((other) => other > row),
      );
      for (const other of others) {
        if (jaccard(set, sets[other]!) < 0.87) continue;
        near++;
        if (clusterOf[row] !== clusterOf[other]) missed++;
      }
    });
    expect(near).toBeGreaterThan(20);
    expect(missed / near).toBeLessThan(0.02);
    removed.rows.forEach((row, i) => {
      expect(jaccard(sets[row]!, sets[removed.winners[i]!]!)).toBeGreaterThan(0.65);
    });
    expect(summary.kept + summary.removed).toBe(rows.length);
  }, 120_000);

  it("removes a row only for a similar row that stays, however long the chain", () => {
    // Each text shifts the window by 3 words of 60: neighbours are similar, the ends share nothing.
    const words = sentence(numbers(3), 400).split(" ");
    const rows = Array.from({ length: 100 }, (_, i) =>
      conversation(words.slice(3 * i, 3 * i + 60).join(" ")),
    );
    const { clusterOf, removed, summary } = run(rows);
    expect(summary.clusters.largest).toBeGreaterThan(20);
    expect(jaccard(shingleSet(rows[0]!), shingleSet(rows[99]!))).toBe(0);
    expect(removed.rows.length).toBeGreaterThan(10);
    const gone = new Set(removed.rows);
    removed.rows.forEach((row, i) => {
      expect(gone.has(removed.winners[i]!)).toBe(false);
      expect(clusterOf[row]).toBe(clusterOf[removed.winners[i]!]);
      expect(removed.similarity[i]).toBeGreaterThanOrEqual(0.8);
    });
  });

  it("keeps the row of the preferred source and never removes exempt rows", () => {
    const text = sentence(numbers(4), 80);
    const rows = ["web", "gold", "hard_coded", "hard_coded"].map((source, i) =>
      conversation(`${text} ${i}`, source),
    );
    const preferred = run(rows, { priority: ["gold"], exempt: ["hard_coded"] });
    expect([...preferred.removed.rows]).toEqual([0, 1]);
    expect(preferred.summary.perSource).toMatchObject({
      web: { removed: 1 },
      hard_coded: { rows: 2, removed: 0 },
    });
    const plain = run(rows, { priority: ["gold"] });
    expect([...plain.removed.rows]).toEqual([0, 2, 3]);
    expect([...plain.removed.winners]).toEqual([1, 1, 1]);
    expect(plain.summary.pairs).toEqual([
      { winner: "gold", loser: "hard_coded", rows: 2 },
      { winner: "gold", loser: "web", rows: 1 },
    ]);
  });

  it("does not see case, punctuation, white space and turn boundaries", () => {
    const { clusterOf } = run([
      conversation(["Name three primary colours, please!", "Red, blue and yellow."]),
      conversation("name three primary colours please\n\nred blue and YELLOW"),
    ]);
    expect([...clusterOf]).toEqual([0, 0]);
  });

  it("finds near copies in a script without spaces", () => {
    const text =
      "机器学习是人工智能的一个分支它研究计算机怎样模拟或实现人类的学习行为以获取新的知识或技能重新组织已有的知识结构";
    const { clusterOf } = run([
      conversation(text),
      conversation(`${text}吗`),
      conversation("今天天气很好我们去公园散步吧"),
    ]);
    expect([...clusterOf]).toEqual([0, 0, 2]);
  });

  it("keeps rows without words apart, and rows of one word only when equal", () => {
    const { clusterOf, summary } = run(
      ["...", "...", "", "yes", "Yes!", "no"].map((text) => conversation(text)),
    );
    expect([...clusterOf]).toEqual([0, 1, 2, 3, 3, 5]);
    expect(summary).toMatchObject({ withoutWords: 3, removed: 1, kept: 5 });
  });

  it("gives the same result every time, and clusters that do not depend on the order of rows", () => {
    const random = numbers(5);
    const texts = Array.from({ length: 50 }, () => sentence(random, 60)).flatMap((text) => [
      text,
      `${text} more`,
    ]);
    const rows = texts.map((text) => conversation(text));
    expect(run(rows)).toEqual(run(rows));
    const reversed = run([...rows].reverse()).clusterOf;
    const pairs = (clusterOf: ArrayLike<number>, place: (row: number) => number) =>
      rows.map((_, i) => clusterOf[place(i)] === clusterOf[place(i ^ 1)]);
    expect(pairs(reversed, (i) => rows.length - 1 - i)).toEqual(pairs(run(rows).clusterOf, (i) => i));
  });

  it("stays fast on thousands of rows of one template", () => {
    const random = numbers(6);
    const template = sentence(random, 100);
    // 70 % of each row is the template: every bucket is crowded, nothing is a near duplicate.
    const rows = Array.from({ length: 8000 }, () => conversation(`${template} ${sentence(random, 35)}`));
    rows.push(...Array.from({ length: 8000 }, () => conversation(template)));
    const start = performance.now();
    const { summary } = run(rows);
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(summary.comparedPairs).toBeLessThan(16_000 * 20 * 64);
    expect(summary.clusters.largest).toBeGreaterThanOrEqual(8000);
  });

  it("compares thousands of nearly equal rows with one of them, not with each other", () => {
    const text = sentence(numbers(7), 200);
    const { summary } = run(Array.from({ length: 3000 }, (_, i) => conversation(`${text} ${i}`)));
    expect(summary.removed).toBe(2999);
    expect(summary.comparedPairs).toBeLessThan(3000 * 20 * 8);
  });

  it("is empty for no rows", () => {
    expect(run([]).summary).toMatchObject({ rows: 0, kept: 0, removed: 0, clusters: { count: 0 } });
  });

  it("refuses numbers it cannot use", () => {
    for (const options of [
      { threshold: 0 },
      { threshold: 1.1 },
      { bands: 0 },
      { rowsPerBand: 1.5 },
      { shingleWords: 0 },
    ]) {
      expect(() => new NearDeduplicator(options), JSON.stringify(options)).toThrow(/cannot use/);
    }
    expect(() => new NearDeduplicator({ threshold: Number.NaN })).toThrow(/cannot use/);
  });
});
