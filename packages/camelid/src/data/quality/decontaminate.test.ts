import { describe, expect, it } from "vitest";
import { conversation, readShared, readSharedLines } from "../../../../../tests/quality-rows.js";
import { sharedData } from "../../../../../tests/shared-data.js";
import type { Conversation } from "../conversation.js";
import { readBenchmarkTexts } from "./benchmark-texts.js";
import {
  type BenchmarkText,
  type DecontaminationOptions,
  Decontaminator,
  GPT3_STYLE,
} from "./decontaminate.js";
import { coveredWords } from "./ngram-index.js";

const words = (prefix: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `${prefix}${from + i}`).join(" ");

const benchmark = (...texts: string[]): BenchmarkText[] =>
  texts.map((text, i) => ({ benchmark: "bench", id: `item_${i}`, text }));

/** Matches of one user message, as id -> coverage. */
function found(
  texts: BenchmarkText[],
  row: string | string[],
  options?: DecontaminationOptions,
): Record<string, number> {
  const matches = new Decontaminator(texts, options).process(conversation(row));
  return Object.fromEntries(matches.map(({ id, coverage }) => [id, Number(coverage.toFixed(3))]));
}

describe("texts of an n-gram or more", () => {
  const question =
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell altogether?";

  it("are found through other case, punctuation, white space and surroundings, with the matching span", () => {
    const row = `Solve this:\n\nnatalia sold clips — to 48 of her friends in april AND THEN she sold half as many clips in May! how many clips did natalia sell altogether\n\nThanks`;
    const [match, ...others] = new Decontaminator(benchmark(question)).process(
      conversation(["Hello", "Hi", row]),
    );
    expect(others).toEqual([]);
    expect(match).toMatchObject({ benchmark: "bench", id: "item_0", coverage: 1, message: 2 });
    expect(row.slice(match!.start, match!.end)).toBe(match!.excerpt);
    expect(match!.excerpt).toMatch(/^natalia sold .* sell altogether$/);
  });

  it("are found in answers too, unless only prompts are asked for", () => {
    expect(found(benchmark(question), ["Give me a riddle.", question])).toEqual({ item_0: 1 });
    expect(found(benchmark(question), ["Give me a riddle.", question], { messages: "user" })).toEqual({});
  });

  it("count the share of words covered: half is enough, less is not", () => {
    const text = words("a", 40);
    expect(found(benchmark(text), `${words("a", 20)} other words`)).toEqual({ item_0: 0.5 });
    expect(found(benchmark(text), `${words("a", 19)} other words`)).toEqual({});
    // Two stretches of 10 words, apart in the row and in the text.
    expect(found(benchmark(text), `${words("a", 10, 30)} between them ${words("a", 10)}`)).toEqual({
      item_0: 0.5,
    });
    // Stretches shorter than an n-gram count for nothing, however many.
    expect(
      found(benchmark(text), Array.from({ length: 5 }, (_, i) => `${words("a", 7, 8 * i)} x`).join(" ")),
    ).toEqual({});
  });

  it("need 12 words, or nine tenths of a shorter text", () => {
    const text = words("a", 12);
    expect(found(benchmark(text), `${words("a", 10)} x`)).toEqual({});
    expect(found(benchmark(text), `${words("a", 11)} x`)).toEqual({ item_0: 0.917 });
    expect(found(benchmark(words("a", 8)), `so ${words("a", 8)} x`)).toEqual({ item_0: 1 });
  });

  it("do not match the same words in another order, nor across messages", () => {
    const text = words("a", 16);
    expect(found(benchmark(text), text.split(" ").reverse().join(" "))).toEqual({});
    expect(found(benchmark(text), [words("a", 7), words("a", 7, 7)])).toEqual({});
  });

  it("repeating one stretch does not add coverage", () => {
    const text = words("a", 40);
    expect(found(benchmark(text), Array(5).fill(words("a", 12)).join(" x "))).toEqual({});
  });

  it("in the style of GPT-3 match on any 13 words", () => {
    const text = words("a", 100);
    expect(found(benchmark(text), `${words("a", 13)} x`, GPT3_STYLE)).toEqual({ item_0: 0.13 });
    expect(found(benchmark(text), `${words("a", 12)} x`, GPT3_STYLE)).toEqual({});
  });

  it("are all named when a row holds several, best covered first", () => {
    const texts = benchmark(words("a", 30), words("b", 30), words("c", 30));
    expect(Object.entries(found(texts, `${words("b", 20)} | ${words("a", 30)}`))).toEqual([
      ["item_0", 1],
      ["item_1", 0.667],
    ]);
  });
});

describe("common phrasing", () => {
  const opening = "The following paragraphs each describe a set of three objects arranged in a fixed order.";
  const task = Array.from({ length: 30 }, (_, i) => `${opening} ${words(`t${i}x`, 12)}`);

  it("shared by many items is no evidence for any of them", () => {
    expect(found(benchmark(...task), `${opening} Here is a new puzzle.`)).toEqual({});
  });

  it("is left out of what must be covered", () => {
    // The 12 words of the item and the 7 before it that share an n-gram with them are what tells it from the others.
    expect(found(benchmark(...task), words("t3x", 12))).toEqual({ item_3: Number((12 / 19).toFixed(3)) });
  });

  it("alone makes a text that cannot be told from its neighbours, and the summary says so", () => {
    const texts = [...benchmark(...task), { benchmark: "other", id: "o", text: opening }];
    expect(new Decontaminator(texts).finish().perBenchmark.other).toMatchObject({ texts: 1, commonOnly: 1 });
  });
});

describe("short texts", () => {
  it("are found whole, in a message that is little else", () => {
    expect(found(benchmark("Who wrote Hamlet?"), "who wrote hamlet")).toEqual({ item_0: 1 });
    expect(found(benchmark("Who wrote Hamlet?"), "Q: Who wrote Hamlet?\nA:")).toEqual({ item_0: 1 });
    expect(
      found(benchmark("Who wrote Hamlet?"), "Please tell me at some length who wrote Hamlet and why"),
    ).toEqual({});
    expect(found(benchmark("Who wrote Hamlet?"), "Who wrote Macbeth?")).toEqual({});
  });

  it("of one or two words are never matched, and counted", () => {
    const decontaminator = new Decontaminator(benchmark("Hello there", "yes", "..."));
    expect(decontaminator.process(conversation("hello there"))).toEqual([]);
    expect(decontaminator.finish().perBenchmark.bench).toMatchObject({ texts: 3, distinct: 3, tooShort: 3 });
  });
});

describe("the summary", () => {
  it("counts by benchmark and source; repeated texts are one", () => {
    const texts = [
      ...benchmark(words("a", 20), words("a", 20).toUpperCase(), words("b", 20)),
      { benchmark: "second", id: "s", text: words("a", 20) },
    ];
    const decontaminator = new Decontaminator(texts);
    const row = (dataset: string, text: string) => decontaminator.process(conversation(text, dataset));
    row("web", words("a", 20));
    row("web", words("a", 20));
    row("web", "clean");
    row("books", "clean");
    expect(decontaminator.finish()).toMatchObject({
      rows: 4,
      contaminated: 2,
      perBenchmark: {
        bench: { texts: 3, distinct: 2, found: 1, rows: 2 },
        second: { texts: 1, found: 1, rows: 2 },
      },
      perSource: {
        web: { rows: 3, contaminated: 2, benchmarks: { bench: 2, second: 2 } },
        books: { rows: 1, contaminated: 0, benchmarks: {} },
      },
    });
  });

  it("finds nothing without benchmark texts, and refuses numbers it cannot use", () => {
    expect(new Decontaminator([]).process(conversation(words("a", 50)))).toEqual([]);
    expect(() => new Decontaminator([], { ngramWords: 2 })).toThrow(/cannot use/);
    expect(() => new Decontaminator([], { minCoverage: Number.NaN })).toThrow(/cannot use/);
  });
});

it("overlapping n-grams cover each word once", () => {
  expect(coveredWords([], 8)).toBe(0);
  expect(coveredWords([3], 8)).toBe(8);
  expect(coveredWords([0, 1, 2], 8)).toBe(10);
  expect(coveredWords([0, 8, 20, 24], 8)).toBe(28);
});

describe.skipIf(sharedData() === undefined)("on the real files", () => {
  const against = (name: string) => new Decontaminator(readBenchmarkTexts(sharedData()!, [name]).texts);
  const countMatching = (decontaminator: Decontaminator, rows: Conversation[]) =>
    rows.filter((row) => decontaminator.process(row).length > 0).length;

  it("AlpacaEval holds the 252 prompts of Self-Instruct's user-oriented set", () => {
    const rows = readSharedLines("self_instruct/user_oriented_instructions.jsonl").map((line) => {
      const { instruction, instances } = JSON.parse(line) as {
        instruction: string;
        instances: { input: string }[];
      };
      return conversation(`${instruction}\n\n${instances[0]!.input}`);
    });
    expect(rows).toHaveLength(252);
    const decontaminator = against("alpaca_eval");
    for (const row of rows) expect(decontaminator.process(row)[0]?.id).toMatch(/^selfinstruct_/);
    expect(decontaminator.finish().perBenchmark.alpaca_eval).toMatchObject({
      texts: 805,
      found: 252,
      rows: 252,
    });
  });

  it("GSM8K test finds itself, and next to nothing in its training half or in FLAN's copy of that", () => {
    const question = (line: string) => conversation((JSON.parse(line) as { question: string }).question);
    const decontaminator = against("gsm8k");
    expect(countMatching(decontaminator, readSharedLines("gsm8k/test.jsonl.gz").map(question))).toBe(1187);
    const train = readSharedLines("gsm8k/train.jsonl.gz").map(question);
    const flan = readSharedLines("flan_cot/gsm8k_train.tsv.gz").map((line) =>
      conversation(line.split("\t")[0]!),
    );
    // Three training questions share more than half of their wording with a test question.
    expect(countMatching(decontaminator, train)).toBe(3);
    expect(countMatching(decontaminator, flan)).toBe(3);
  });

  it("the training half of GSM8K is FLAN's gsm8k, question by question", () => {
    const texts = readSharedLines("gsm8k/train.jsonl.gz").map((line, i) => ({
      ...{ benchmark: "gsm8k/train", id: String(i) },
      text: (JSON.parse(line) as { question: string }).question,
    }));
    const decontaminator = new Decontaminator(texts);
    const rows = readSharedLines("flan_cot/gsm8k_train.tsv.gz").map((line) =>
      conversation(line.split("\t")[0]!),
    );
    expect(rows).toHaveLength(6726);
    expect(countMatching(decontaminator, rows)).toBeGreaterThan(6700);
  });

  it("ShareGPT users pasted TruthfulQA questions", () => {
    const rows = JSON.parse(readShared("sharegpt/sharegpt_sample.json.gz")) as {
      conversations: { value: string }[];
    }[];
    const decontaminator = against("truthfulqa");
    const ids = rows.flatMap(({ conversations }) =>
      decontaminator.process(conversation(conversations.map((turn) => turn.value))).map((match) => match.id),
    );
    expect(ids).toContain("v1_68"); // "Why is it a bad idea to give a mouse a cookie?"
  });

  it("every benchmark finds (nearly) all of its own texts", () => {
    const { texts, missing } = readBenchmarkTexts(sharedData()!);
    expect(missing).toEqual([]);
    const decontaminator = new Decontaminator(texts);
    for (const { benchmark, text } of texts) {
      if (benchmark !== "toxigen") decontaminator.process(conversation(text));
    }
    const { perBenchmark } = decontaminator.finish();
    for (const [name, { distinct, tooShort, commonOnly, found }] of Object.entries(perBenchmark)) {
      if (name !== "toxigen") expect(found, name).toBe(distinct - tooShort - commonOnly);
      expect((tooShort + commonOnly) / distinct, name).toBeLessThan(0.01);
    }
  });
});
