import { describe, expect, it } from "vitest";
import { conversation, readSharedLines, realInstructionRows } from "../../../../../tests/quality-rows.js";
import { sharedData } from "../../../../../tests/shared-data.js";
import type { Conversation } from "../conversation.js";
import { ExactDeduplicator } from "./exact-dedup.js";

const row = (dataset: string, ...turns: string[]) => conversation(turns, dataset);

describe("exact deduplication", () => {
  it("keeps the first of equal rows and says which row won", () => {
    const dedup = new ExactDeduplicator();
    expect(dedup.process(row("a", "hi", "hello"))).toEqual({ kept: true, row: 0 });
    expect(dedup.process(row("a", "hi", "good day"))).toEqual({ kept: true, row: 1 });
    expect(dedup.process(row("b", "hi ", "hello\n"))).toEqual({
      kept: false,
      row: 2,
      winner: 0,
      why: "earlier",
    });
    expect(dedup.finish()).toMatchObject({
      rows: 3,
      kept: 2,
      removed: 1,
      pairs: [{ winner: "a", loser: "b", rows: 1 }],
    });
  });

  it("lets the source of higher priority win, whatever the order of arrival", () => {
    const rows = ["low", "other", "high", "high", "low"].map((source) => row(source, "q", "a"));
    for (const order of [
      [0, 1, 2, 3, 4],
      [4, 3, 2, 1, 0],
      [2, 0, 4, 1, 3],
      [1, 4, 0, 3, 2],
    ]) {
      const dedup = new ExactDeduplicator({ priority: ["high", "low"] });
      for (const i of order) dedup.process(rows[i]!);
      const { rows: removed, winners } = dedup.removedRows();
      const winner = order.findIndex((i) => rows[i]!.dataset === "high");
      expect([...removed]).toEqual([0, 1, 2, 3, 4].filter((place) => place !== winner));
      expect([...winners]).toEqual([winner, winner, winner, winner]);
      expect(dedup.finish().perSource).toMatchObject({
        high: { removed: 1 },
        low: { removed: 2 },
        other: { removed: 1 },
      });
    }
  });

  it("names the row that a better one replaces, and the reason a worse one goes", () => {
    const dedup = new ExactDeduplicator({ priority: ["gold", "web"] });
    dedup.process(row("web", "q"));
    expect(dedup.process(row("gold", "q"))).toEqual({ kept: true, row: 1, replaces: 0 });
    expect(dedup.process(row("web", "q"))).toEqual({ kept: false, row: 2, winner: 1, why: "priority" });
    expect(dedup.process(row("gold", "q"))).toEqual({ kept: false, row: 3, winner: 1, why: "earlier" });
  });

  it("keeps every repeat of an exempt source and removes copies of it elsewhere", () => {
    const dedup = new ExactDeduplicator({ exempt: ["hard_coded"], priority: ["web"] });
    expect(dedup.process(row("web", "who are you?"))).toMatchObject({ kept: true });
    expect(dedup.process(row("hard_coded", "who are you?"))).toEqual({ kept: true, row: 1, replaces: 0 });
    for (let i = 0; i < 9; i++) expect(dedup.process(row("hard_coded", "who are you?")).kept).toBe(true);
    expect(dedup.process(row("web", "who are you?"))).toMatchObject({
      kept: false,
      winner: 1,
      why: "priority",
    });
    expect(dedup.finish()).toMatchObject({
      rows: 12,
      kept: 10,
      removed: 2,
      perSource: { hard_coded: { exempt: 10 } },
    });
  });

  it("compares what the key names and nothing else", () => {
    const a = row("a", "prompt", "one");
    const b = row("a", "prompt", "two");
    const c = row("a", "prompt", "one", "and then?", "three");
    const keptWith = (key: "conversation" | "first-prompt" | "prompt-and-answer") => {
      const dedup = new ExactDeduplicator({ key });
      return [a, b, c].map((conversation) => dedup.process(conversation).kept);
    };
    expect(keptWith("conversation")).toEqual([true, true, true]);
    expect(keptWith("prompt-and-answer")).toEqual([true, true, false]);
    expect(keptWith("first-prompt")).toEqual([true, false, false]);
  });

  it("removes no row for an empty or absent key", () => {
    const dedup = new ExactDeduplicator({ key: "first-prompt" });
    const noUser = { dataset: "a", id: "1", messages: [{ role: "assistant" as const, content: "hello" }] };
    for (const empty of [row("a", "", "x"), row("a", " \n", "y"), noUser, noUser]) {
      expect(dedup.process(empty).kept).toBe(true);
    }
    expect(dedup.finish()).toMatchObject({ kept: 4, withoutKey: 4 });
  });

  it("takes the answer after the first prompt when an assistant speaks first", () => {
    const dedup = new ExactDeduplicator({ key: "prompt-and-answer" });
    const gptFirst = (opening: string) => ({
      dataset: "sharegpt",
      id: "1",
      messages: [
        { role: "assistant" as const, content: opening },
        { role: "user" as const, content: "q" },
        { role: "assistant" as const, content: "a" },
      ],
    });
    expect(dedup.process(gptFirst("Hi!")).kept).toBe(true);
    expect(dedup.process(gptFirst("Good day.")).kept).toBe(false);
    expect(dedup.process(row("x", "q", "a")).kept).toBe(false);
  });

  it("refuses an order of priority that names a source twice", () => {
    expect(() => new ExactDeduplicator({ priority: ["a", "b", "a"] })).toThrow(/twice/);
  });

  it("accounts for every row: kept + removed = rows, per source and in pairs", () => {
    const dedup = new ExactDeduplicator({ priority: ["s3", "s1"] });
    for (let i = 0; i < 20_000; i++) dedup.process(row(`s${i % 5}`, `prompt ${(i * 7919) % 3000}`));
    const { rows, kept, removed, perSource, pairs } = dedup.finish();
    expect([rows, kept, removed]).toEqual([20_000, 3000, 17_000]);
    expect(Object.values(perSource).reduce((sum, counts) => sum + counts.removed, 0)).toBe(removed);
    expect(pairs.reduce((sum, pair) => sum + pair.rows, 0)).toBe(removed);
    expect(dedup.removedRows().rows).toHaveLength(removed);
  });

  it("agrees with a plain map over the real instruction rows", ({ skip }) => {
    const rows = realInstructionRows();
    if (rows === undefined) return skip("shared data is not here");
    const dedup = new ExactDeduplicator({ normalization: "none" });
    const first = new Map<string, number>();
    const expected: [number, number][] = [];
    for (const [i, conversation] of rows.entries()) {
      const text = JSON.stringify(conversation.messages);
      const winner = first.get(text);
      if (winner === undefined) first.set(text, i);
      else expected.push([i, winner]);
      dedup.process(conversation);
    }
    const removed = dedup.removedRows();
    expect([...removed.rows].map((r, i) => [r, removed.winners[i]])).toEqual(expected);
    // The three Alpaca subsets share rows; that is where nearly all duplicates are.
    expect(expected.length).toBeGreaterThan(1000);
  });

  it("finds the seed tasks that lie in two folders, and GSM8K's training questions in FLAN's copy", ({
    skip,
  }) => {
    if (sharedData() === undefined) return skip("shared data is not here");
    const removed = (rows: Conversation[]) => {
      const dedup = new ExactDeduplicator({ key: "first-prompt" });
      for (const conversation of rows) dedup.process(conversation);
      return dedup.finish().pairs;
    };
    const seeds = ["self_instruct", "stanford_alpaca"].flatMap((source) =>
      readSharedLines(`${source}/seed_tasks.jsonl`).map((line) => {
        const { instruction, instances } = JSON.parse(line) as {
          instruction: string;
          instances: { input: string }[];
        };
        return row(source, `${instruction}\n\n${instances[0]!.input}`);
      }),
    );
    expect(removed(seeds)).toEqual([{ winner: "self_instruct", loser: "stanford_alpaca", rows: 175 }]);
    const flan = readSharedLines("flan_cot/gsm8k_train.tsv.gz").map((line) =>
      row("cot", line.split("\t")[0]!.replaceAll("\\n", "\n")),
    );
    const gsm8k = readSharedLines("gsm8k/train.jsonl.gz").map((line) =>
      row("gsm8k", (JSON.parse(line) as { question: string }).question),
    );
    expect(removed([...flan, ...gsm8k])).toEqual([{ winner: "cot", loser: "gsm8k", rows: 6726 }]);
  });
});
