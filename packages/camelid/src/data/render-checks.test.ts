import { beforeAll, describe, expect, test } from "vitest";
import { byteLevelTokenizer, LLAMA_FOLDER } from "../../../../tests/tokenizers.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import { IGNORE_INDEX, type RenderedRow, renderConversation } from "./render.js";
import { checkBos, checkPrefixes, checkTrainedText, turnEnds } from "./render-checks.js";
import { countBySource } from "./render-counters.js";

const chat: Conversation = {
  dataset: "test",
  id: "test_0",
  messages: [
    { role: "user", content: "Hi there" },
    { role: "assistant", content: "Hello!" },
    { role: "user", content: "Bye" },
    { role: "assistant", content: "See you." },
  ],
};

let llama: Tokenizer;
let row: RenderedRow;
beforeAll(async () => {
  llama = await loadTokenizer(LLAMA_FOLDER);
  row = await renderConversation(chat, llama);
});

describe("checks find what they are for", () => {
  test("a missing and a doubled BOS", () => {
    expect(checkBos(row, llama)).toEqual([]);
    expect(checkBos({ ...row, inputIds: row.inputIds.subarray(1) }, llama)).toHaveLength(1);
    expect(checkBos({ ...row, inputIds: Int32Array.of(1, ...row.inputIds) }, llama)).toMatchObject([
      { check: "bos", row: "test_0", detail: expect.stringContaining("2 BOS") },
    ]);
  });

  test("labels shifted by one token", () => {
    const shifted = Int32Array.of(IGNORE_INDEX, ...row.labels.subarray(0, -1));
    expect(checkTrainedText(row, chat, llama)).toEqual([]);
    expect(checkTrainedText({ ...row, labels: shifted }, chat, llama)).toMatchObject([
      { check: "trained-text", detail: 'answer "Hello!" is trained as "!"' },
      { check: "trained-text" },
    ]);
  });

  test("a template that changes an answer", async () => {
    const shouting = await byteLevelTokenizer({
      chatTemplate: "{% for m in messages %}{{ m.content | upper }}</s>{% endfor %}",
    });
    expect(checkTrainedText(await renderConversation(chat, shouting), chat, shouting)).toMatchObject([
      { detail: expect.stringContaining("Hello! / See you.") },
    ]);
  });

  test("a template that forgets the terminator of the last answer", async () => {
    const forgetting = await byteLevelTokenizer({
      chatTemplate:
        "{% for m in messages %}{{ m.role + ':' + m.content }}{% if not loop.last %}</s>{% endif %}{% endfor %}" +
        "{% if add_generation_prompt %}</s>assistant:{% endif %}",
    });
    const healthy = turnEnds([row], llama);
    expect(healthy).toEqual(new Map([["</s>", 2]]));
    const single = { ...chat, messages: chat.messages.slice(0, 2) };
    const ends = turnEnds([await renderConversation(single, forgetting)], forgetting);
    expect(ends).toEqual(new Map([["(no special token)", 1]]));
  });

  test("a prompt that training never shows", async () => {
    expect(await checkPrefixes(row, chat, llama)).toEqual([]);
    const other = { ...row, inputIds: row.inputIds.with(3, 99) };
    expect(await checkPrefixes(other, chat, llama)).toMatchObject([
      { check: "prefix", detail: "the prompt of answer 1 differs from the row at token 3" },
      { check: "prefix" },
    ]);
  });
});

describe("counters", () => {
  test("add up per source", async () => {
    const cut = await renderConversation({ ...chat, dataset: "other" }, llama, { maxSeqLen: 10 });
    const counters = countBySource([row, cut, row]);
    expect([...counters.keys()]).toEqual(["test", "other"]);
    expect(counters.get("test")).toMatchObject({ rows: 2, rowsCut: 0, trainedTokens: 2 * row.trainedTokens });
    expect(counters.get("other")).toEqual({
      rows: 1,
      tokens: 10,
      trainedTokens: 0,
      rowsCut: 1,
      tokensCut: row.inputIds.length - 10,
      answersLost: 2,
      rowsUntrained: 1,
      straddlingTokens: 0,
    });
  });
});
