import { beforeAll, describe, expect, test } from "vitest";
import { byteLevelTokenizer, LLAMA_FOLDER } from "../../../../tests/tokenizers.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import { IGNORE_INDEX, type RenderedRow, type RenderOptions, renderConversation } from "./render.js";
import {
  borderCheck,
  bosCheck,
  duplicateIdsCheck,
  promptCheck,
  type SampledRow,
  trainedShareCheck,
  trainedTextCheck,
  truncationCheck,
  turnEndCheck,
  typedMarkersCheck,
} from "./row-checks.js";
import type { SourceAccount } from "./train-rows.js";

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
const END = 2; // </s>

const sampled = async (
  tokenizer: Tokenizer,
  options: RenderOptions = {},
  conversation = chat,
): Promise<SampledRow> => ({
  row: await renderConversation(conversation, tokenizer, options),
  conversation,
});
const changed = (sample: SampledRow, change: Partial<RenderedRow>): SampledRow => ({
  ...sample,
  row: { ...sample.row, ...change },
});
const withTemplate = (chatTemplate: string) =>
  byteLevelTokenizer({ bosToken: "<s>", eosToken: "</s>", chatTemplate });

let llama: Tokenizer;
let healthy: SampledRow;
beforeAll(async () => {
  llama = await loadTokenizer(LLAMA_FOLDER);
  healthy = await sampled(llama);
});

test.each(["A", "B", "C"] as const)(
  "healthy rows pass every check, token variant %s",
  async (tokenVariant) => {
    const sample = [await sampled(llama, { tokenVariant })];
    const checks = [
      bosCheck(sample, llama),
      turnEndCheck(sample, llama, [END]),
      trainedTextCheck(sample, llama),
      typedMarkersCheck(sample, llama, "text"),
      borderCheck(sample),
    ];
    if (tokenVariant === "B") checks.push(await promptCheck(sample, llama));
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
  },
);

describe("BOS", () => {
  test("a doubled and a missing one fail", () => {
    const { inputIds } = healthy.row;
    const doubled = changed(healthy, { inputIds: Int32Array.of(inputIds[0]!, ...inputIds) });
    expect(bosCheck([healthy, doubled], llama)).toMatchObject({
      status: "fail",
      detail: expect.stringContaining("not true in 1 rows"),
      fix: expect.stringContaining("add_bos_token"),
    });
    expect(bosCheck([changed(healthy, { inputIds: inputIds.subarray(1) })], llama).status).toBe("fail");
  });
});

describe("turn end", () => {
  test("a template without terminators fails", async () => {
    const tokenizer = await withTemplate(
      "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}" +
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
    );
    expect(turnEndCheck([await sampled(tokenizer)], tokenizer)).toMatchObject({
      status: "fail",
      detail: expect.stringContaining("2 answers end without a special token"),
    });
  });

  test("a terminator outside the generation tags fails: it is there, but not trained", async () => {
    const tokenizer = await withTemplate(
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}</s>" +
        "{% else %}{{ m.content }}{% endif %}{% endfor %}",
    );
    expect(turnEndCheck([await sampled(tokenizer)], tokenizer).status).toBe("fail");
  });

  test("a special token inside an answer does not stand for the missing terminator", () => {
    const { inputIds, labels } = healthy.row;
    const end = inputIds.lastIndexOf(END);
    const shortened = labels.with(end, IGNORE_INDEX).with(end - 2, END);
    const broken = changed(healthy, { inputIds: inputIds.with(end - 2, END), labels: shortened });
    expect(turnEndCheck([broken], llama).status).toBe("fail");
  });

  test("a terminator at which generation goes on is told", () => {
    expect(turnEndCheck([healthy], llama, [7])).toMatchObject({
      status: "warn",
      detail: expect.stringContaining("</s>"),
    });
  });

  test("rows that are all cut, and two kinds of ends, are told", async () => {
    expect(turnEndCheck([await sampled(llama, { maxSeqLen: 10 })], llama).status).toBe("warn");
    const { inputIds } = healthy.row;
    const other = changed(healthy, { inputIds: inputIds.with(inputIds.lastIndexOf(END), 1) });
    expect(turnEndCheck([healthy, other], llama)).toMatchObject({
      status: "warn",
      detail: expect.stringContaining("<s> (1 times)"),
    });
  });
});

describe("answers and prompts", () => {
  test("labels shifted by one token fail", () => {
    const labels = Int32Array.of(IGNORE_INDEX, ...healthy.row.labels.subarray(0, -1));
    expect(trainedTextCheck([changed(healthy, { labels })], llama)).toMatchObject({
      status: "fail",
      detail: expect.stringContaining("Hello!"),
    });
  });

  test("a template that rewrites answers fails", async () => {
    const tokenizer = await withTemplate("{% for m in messages %}{{ m.content | upper }}</s>{% endfor %}");
    expect(trainedTextCheck([await sampled(tokenizer)], tokenizer).status).toBe("fail");
  });

  test("a row that does not begin as its prompt does fails", async () => {
    expect((await promptCheck([healthy], llama)).status).toBe("ok");
    const other = changed(healthy, { inputIds: healthy.row.inputIds.with(3, 99) });
    expect(await promptCheck([other], llama)).toMatchObject({
      status: "fail",
      detail: expect.stringContaining("test_0: the prompt of answer 1 differs"),
    });
  });

  test("a header that merges with every answer fails; a few answers that begin with white space are told", async () => {
    const tokenizer = await withTemplate(
      "{% for m in messages %}{{ m.role + ': ' + m.content }}</s>{% endfor %}" +
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
    );
    const messages = [
      { role: "user" as const, content: "Who?" },
      { role: "assistant" as const, content: "the user" },
    ];
    const merged = await sampled(tokenizer, {}, { ...chat, messages }); // " the" is one token
    expect(borderCheck([merged])).toMatchObject({
      status: "fail",
      detail: expect.stringMatching(/^in 1 of 1 rows/),
    });
    expect(borderCheck([merged, healthy, healthy]).status).toBe("warn");
    // What borders explain is not told again as a shifted mask.
    expect(trainedTextCheck([merged], tokenizer).status).toBe("ok");
    expect((await promptCheck([merged], tokenizer)).status).toBe("ok");
  });
});

describe("what the account of the rows says", () => {
  const account: SourceAccount = {
    source: "flan",
    rows: 10,
    tokens: 1000,
    trainedTokens: 250,
    rowsCut: 0,
    tokensCut: 0,
    answerLost: 0,
    nothingToTrain: 0,
  };

  test("the share of trained tokens is given by source", () => {
    expect(trainedShareCheck([account])).toEqual({
      name: "trained share",
      status: "ok",
      detail: "of all tokens: flan 25%",
    });
  });

  test("a source that trains nothing fails, rows that train nothing are told", () => {
    expect(trainedShareCheck([account, { ...account, source: "empty", trainedTokens: 0 }])).toMatchObject({
      status: "fail",
      detail: "no token is trained of empty",
    });
    expect(trainedShareCheck([{ ...account, nothingToTrain: 2 }])).toMatchObject({ status: "warn" });
    expect(trainedShareCheck([])).toMatchObject({ status: "fail" });
  });

  test("cut rows, lost tokens and lost answers are counted by source", () => {
    expect(truncationCheck([account], 512).status).toBe("ok");
    const cut = { ...account, source: "gpt4", rowsCut: 3, tokensCut: 700, answerLost: 1 };
    expect(truncationCheck([account, cut], 512)).toMatchObject({
      status: "warn",
      detail:
        "3 of 20 rows are cut at 512 tokens, 700 tokens lost, 1 rows lose every answer; rows by source: gpt4 3",
    });
  });
});

test("special tokens typed in contents are counted, and how they are read is said", async () => {
  const messages = [
    { role: "user" as const, content: "What does </s> mean? And </s>?" },
    { role: "assistant" as const, content: "End." },
  ];
  const sample = [await sampled(llama, {}, { ...chat, messages })];
  expect(typedMarkersCheck(sample, llama, "text")).toMatchObject({
    status: "warn",
    detail: "typed inside messages and kept as plain text: </s> 2 times",
  });
  expect(typedMarkersCheck(sample, llama, "parse").detail).toContain("read as the tokens themselves");
});

test("repeated ids are counted within their source", () => {
  const row = (dataset: string, id: string) => ({ dataset, id });
  expect(duplicateIdsCheck([row("a", "1"), row("b", "1")]).status).toBe("ok");
  expect(duplicateIdsCheck([row("a", "1"), row("b", "1"), row("a", "1")])).toMatchObject({
    status: "warn",
    detail: "1 of 3 rows repeat an id; a/1 comes 2 times",
  });
});
