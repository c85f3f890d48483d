import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { taskContext } from "../../../../../tests/eval/task-context.js";
import type { Answer } from "../task.js";
import { type PerplexityItem, perplexity } from "./perplexity.js";

const root = mkdtempSync(join(tmpdir(), "camelid-perplexity-"));
afterAll(() => rmSync(root, { recursive: true }));
const context = (text: string) => taskContext(perplexity, root, { settings: { text } });
const write = (name: string, text: string) => {
  writeFileSync(join(root, name), text);
  return join(root, name);
};

test("a text file is cut at line ends, and nothing of it is lost", async () => {
  const text = Array.from({ length: 9000 }, (_, i) => `line ${i} of the text\n`).join("");
  const items = await perplexity.load(context(write("long.txt", text)));
  expect(items.length).toBeGreaterThan(2);
  const parts = items.flatMap(({ parts: some }) => some.map((part) => ("text" in part ? part.text : "")));
  expect(parts.join("")).toBe(text);
  expect(parts.every((part) => part.endsWith("\n"))).toBe(true);
});

test("of conversations the answers are scored, each after what came before it", async () => {
  const messages = [
    { role: "user", content: "a?" },
    { role: "assistant", content: " b. " },
    { role: "user", content: "c?" },
    { role: "assistant", content: "d." },
  ];
  const file = write("rows.jsonl", `${JSON.stringify({ messages })}\n{"text": "whole"}\n`);
  const [chat, text] = await perplexity.load(context(file));
  expect(await perplexity.requests(chat!, [], context(file))).toEqual([
    { kind: "score", prompt: { messages: messages.slice(0, 1) }, continuations: ["b."] },
    { kind: "score", prompt: { messages: messages.slice(0, 3) }, continuations: ["d."] },
  ]);
  expect(await perplexity.requests(text!, [], context(file))).toEqual([{ kind: "text", text: "whole" }]);
});

test("the perplexity is of all tokens together, not a mean of documents", async () => {
  const item: PerplexityItem = { id: "x", parts: [{ text: "abcd" }] };
  const answer = (logp: number, tokens: number): Answer[] => [{ kind: "text", logp, tokens }];
  const grades = [
    await perplexity.grade(item, answer(-2, 1), context("")),
    await perplexity.grade(item, answer(-1, 3), context("")),
  ];
  const graded = grades.map(({ score, values }, i) => ({
    id: String(i),
    group: undefined,
    score,
    values: values!,
  }));
  expect(perplexity.score(graded, "standard")).toBeCloseTo(Math.exp(3 / 4), 12);
  const metrics = perplexity.metrics!(graded, context(""));
  expect(metrics["nats per token"]).toBeCloseTo(0.75, 12);
  expect(metrics["bits per byte"]).toBeCloseTo(3 / Math.LN2 / 8, 12);
  expect((await perplexity.grade(item, answer(0, 0), context(""))).verdict).toBe("failed");
});

test("files that hold nothing, or no rows, are errors", async () => {
  await expect(perplexity.load(context(write("empty.txt", "")))).rejects.toMatchObject({
    code: "ERR_NO_ROWS",
  });
  await expect(perplexity.load(context(write("bad.jsonl", '{"text": "a"}\n{"te')))).rejects.toMatchObject({
    where: expect.stringContaining("bad.jsonl line 2"),
  });
  await expect(perplexity.load(context(join(root, "none.txt")))).rejects.toMatchObject({
    code: "ERR_EVAL_DATA_MISSING",
  });
});
