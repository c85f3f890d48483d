import { expect, test } from "vitest";
import { awkwardText, byteLevelTokenizer, LLAMA_FOLDER, seeded } from "../../../../../tests/tokenizers.js";
import { inspectRow } from "../../data/inspect.js";
import { renderConversation } from "../../data/render.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { columnsOf } from "./columns.js";
import { findingLine, terminalLegend, terminalView } from "./terminal-view.js";

const chat = (user: string, assistant: string) => ({
  dataset: "test",
  id: "test_0",
  messages: [
    { role: "user" as const, content: user },
    { role: "assistant" as const, content: assistant },
  ],
});

test("shows who wrote a token and what carries loss, without colours too", async () => {
  const llama = await loadTokenizer(LLAMA_FOLDER);
  const row = inspectRow(await renderConversation(chat("Hi there", "Hello!"), llama), 7, llama);
  expect(terminalView(row, { colour: false, maxLines: 20 })).toBe(
    [
      "row 7  test_0  test   20 tokens, 3 trained (15 %)",
      "template     <s>│ <│|│user│|│>│↵",
      "user         Hi│ there",
      "template     ↵",
      "             <│|│ass│istant│|│>│↵",
      "assistant  ┃ Hello│!",
      "template   ┃ </s>",
      "",
    ].join("\n"),
  );
});

test("colours only when asked, and the text stays the same", async () => {
  const llama = await loadTokenizer(LLAMA_FOLDER);
  const row = inspectRow(await renderConversation(chat("Hi there", "Hello!"), llama), 1, llama);
  const [plain, coloured] = [false, true].map((colour) => terminalView(row, { colour, maxLines: 20 }));
  expect(plain).not.toContain("\u001b");
  expect(coloured).toContain("\u001b[32;1mHello\u001b[0m");
  expect(coloured!.replace(ANSI, "")).toBe(plain);
});

test("stays within 80 columns and lets no control character through", async () => {
  const random = seeded(11);
  const tokenizer = await byteLevelTokenizer();
  for (let round = 0; round < 50; round++) {
    const text = awkwardText(random, 60, ["\u001b[2J", "\u202e", "x".repeat(100), "東京".repeat(60)]);
    const row = inspectRow(await renderConversation(chat(text, text), tokenizer), 1, tokenizer);
    const view = terminalView(row, { colour: true, maxLines: Number.POSITIVE_INFINITY });
    const lines = `${view}\n${terminalLegend(true)}`.replace(ANSI, "").split("\n");
    expect(lines.filter((line) => columnsOf(line) > 80)).toEqual([]);
    expect(lines.join("")).not.toMatch(/[\p{Cc}\u202e]/u);
  }
});

test("a long row is cut, and the tokens that are not shown are counted", async () => {
  const tokenizer = await byteLevelTokenizer();
  const row = inspectRow(await renderConversation(chat("a", "b".repeat(1000)), tokenizer), 1, tokenizer);
  const cut = terminalView(row, { colour: false, maxLines: 6 });
  expect(cut.split("\n")).toHaveLength(9);
  const rest = Number(/\.\.\. (\d+) more tokens/.exec(cut)![1]);
  const all = terminalView(row, { colour: false, maxLines: 1000 });
  expect(all).not.toContain("more tokens");
  const shown = cut.split("\n").slice(1, 7).join("").split("b").length - 1;
  expect(shown + rest).toBeGreaterThanOrEqual(1000);
});

test("findings wrap under themselves", () => {
  const line = findingLine({ status: "bad", text: "word ".repeat(30).trim() });
  expect(line.split("\n").every((each) => each.length <= 80)).toBe(true);
  expect(line).toMatch(/^ {2}FAIL {2}word[\s\S]*\n {8}word/);
});

test("wide characters, marks and joined emoji have the columns of a terminal", () => {
  expect(["a", "東", "😀", "e\u0301", "👩‍👩‍👧", "한", "ｱ", ""].map(columnsOf)).toEqual([
    1, 2, 2, 1, 2, 2, 1, 0,
  ]);
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape is what it looks for
const ANSI = /\u001b\[[\d;]*m/g;
