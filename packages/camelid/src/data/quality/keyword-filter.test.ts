import { describe, expect, it } from "vitest";
import { conversation, realInstructionRows, shareGptRows } from "../../../../../tests/quality-rows.js";
import type { Conversation } from "../conversation.js";
import { KeywordFilter, type KeywordFilterOptions, TULU2_KEYWORDS } from "./keyword-filter.js";

function matches(content: string, options: KeywordFilterOptions) {
  return new KeywordFilter(options).process(conversation(content)).map((match) => match.keyword);
}
const raw = (content: string) => matches(content, { mode: "substring" });
const word = (content: string) => matches(content, { mode: "word" });

/** The original's rule, said the slow way. */
const original = (row: Conversation) =>
  row.messages.some((m) => TULU2_KEYWORDS.some((k) => m.content.toLowerCase().includes(k.toLowerCase())));

describe("substring mode is the original", () => {
  it("knows 22 strings and finds each in any case", () => {
    expect(TULU2_KEYWORDS).toHaveLength(22);
    for (const keyword of TULU2_KEYWORDS) {
      for (const text of [keyword, keyword.toLowerCase(), keyword.toUpperCase()])
        expect(raw(`x${text}x`)).toEqual([keyword]);
    }
  });

  it("removes words that merely contain a string", () => {
    expect(raw("a palm tree")).toEqual(["Palm"]);
    expect(raw("they bombarded the castle")).toEqual(["BARD"]);
    expect(raw("Claudette sings")).toEqual(["Claude"]);
    expect(raw("in the open air")).toEqual(["Open AI"]);
  });

  it("keeps what only sounds like an assistant", () => {
    for (const text of [
      "as an AI language model",
      "GPT-2",
      "open-air",
      "Bing",
      "chat",
      "G P T 4",
      "gpt\n4",
      "GPT-\u00a04",
    ]) {
      expect(raw(text), text).toEqual([]);
    }
  });

  it("names the longest string at a place", () => {
    expect(raw("GPT-3.5 and GPT-3, gpt 3.5")).toEqual(["GPT-3.5", "GPT-3", "GPT 3.5"]);
  });

  it("looks at every role and says where", () => {
    const row: Conversation = {
      dataset: "s",
      id: "1",
      messages: [
        { role: "system", content: "You are nobody." },
        { role: "user", content: "hi" },
        { role: "assistant", content: "I am from OpenAI." },
      ],
    };
    expect(new KeywordFilter({ mode: "substring" }).process(row)).toEqual([
      { keyword: "OpenAI", message: 2, start: 10, end: 16 },
    ]);
  });

  it("lower-cases as the original does where Unicode is surprising", () => {
    // "İ".lower() is "i" plus a combining dot, so "OpenAİ" contains "openai" and "LAİON" does not contain "laion".
    expect(raw("OpenAİ")).toEqual(["OpenAI"]);
    expect(raw("LAİON")).toEqual([]);
    // Long s and the Kelvin sign are no ASCII letters to lower().
    expect(raw("Open Aſſiſtant")).toEqual([]);
    const [match] = new KeywordFilter({ mode: "substring" }).process(conversation("İİ Claude"));
    expect(match).toMatchObject({ start: 3, end: 9 });
  });

  it("agrees with the original on every real row", ({ skip }) => {
    const rows = [...(realInstructionRows() ?? []), ...(shareGptRows() ?? [])];
    if (rows.length === 0) skip("shared data is not here");
    const filter = new KeywordFilter({ mode: "substring" });
    for (const row of rows) expect(filter.process(row).length > 0).toBe(original(row));
    const summary = filter.finish();
    expect(summary.removed).toBe(rows.filter(original).length);
    expect(summary.rows).toBe(rows.length);
    expect(summary.perSource).toMatchObject({ sharegpt: { rows: 837 } });
  });
});

describe("word mode", () => {
  it("keeps words that merely contain a string, and ordinary words", () => {
    for (const text of [
      "Claudette sings",
      "bombarded",
      "a palm tree",
      "Palm trees",
      "the bard",
      "ChatGPTs",
      "GPT-35",
      "é_openai",
    ]) {
      expect(word(text), text).toEqual([]);
    }
  });

  it("removes product names next to punctuation, line breaks and the ends of the text", () => {
    expect(word("OpenAI's ChatGPT\n(GPT-4), Bard; PaLM 2 by Claude")).toEqual([
      ...["OpenAI", "ChatGPT", "GPT-4", "BARD", "Palm", "Claude"],
    ]);
  });

  it("finds a name after a rejected place, also one that overlaps it", () => {
    expect(matches("xred apple pie", { mode: "word", keywords: ["red apple", "apple pie"] })).toEqual([
      "apple pie",
    ]);
    expect(word("GPT-3.57 GPT-3.5 bombarded Bard")).toEqual(["GPT-3.5", "BARD"]);
  });

  it("treats a letter outside the Basic Multilingual Plane as part of a word", () => {
    expect(word("𝒶Claude")).toEqual([]);
    expect(word("Claude𝒶")).toEqual([]);
    expect(word("🙂Claude🙂")).toEqual(["Claude"]);
  });
});

describe("summary", () => {
  it("counts rows by source and string, and exempt sources apart", () => {
    const filter = new KeywordFilter({ mode: "substring", exempt: ["hard_coded"] });
    filter.process(conversation("GPT-4 and GPT-4 and Claude", "a"));
    filter.process(conversation("nothing", "a"));
    filter.process(conversation("I am not ChatGPT", "hard_coded"));
    expect(filter.finish()).toMatchObject({
      rows: 3,
      removed: 1,
      exempt: 1,
      perSource: { a: { rows: 2, removed: 1 } },
      perKeyword: { "GPT-4": 1, Claude: 1 },
    });
  });

  it("refuses an empty keyword", () => {
    expect(() => new KeywordFilter({ mode: "word", keywords: ["x", " "] })).toThrow(/empty string/);
  });

  it("takes regular expression characters in keywords literally", () => {
    expect(matches("C++ (tm) a.b", { mode: "substring", keywords: ["c++ (", "a.b"] })).toEqual([
      "c++ (",
      "a.b",
    ]);
    expect(matches("axb", { mode: "substring", keywords: ["a.b"] })).toEqual([]);
  });
});
