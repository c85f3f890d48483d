import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { taskContext } from "../../../../tests/eval/task-context.js";
import { answerItems } from "./answer-items.js";
import { AnswerStore } from "./answer-store.js";
import { type Asked, answerAt, type Backend, type Outcome, textAt } from "./backend.js";
import { gradeItems } from "./grade-items.js";
import type { Answer, Profile, Task, TaskItem, TaskRequest } from "./task.js";

const root = mkdtempSync(join(tmpdir(), "camelid-answers-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "test-"));
});

/** Two turns with the model, then a judge: the longest conversation a task may have. */
const conversation: Task<TaskItem> = {
  name: "conversation",
  title: "Conversation",
  summary: "",
  profiles: { standard: "", "tulu2-paper": "" },
  metric: { name: "rating", unit: "" },
  files: [],
  load: async () => [],
  requests({ id }, answers): TaskRequest[] {
    const ask = (text: string, to?: string, temperature = 0): TaskRequest => ({
      kind: "generate",
      prompt: { text },
      maxNewTokens: 4,
      temperature,
      ...(to === undefined ? {} : { to }),
    });
    if (answers.length === 0) return [ask(`first ${id}`)];
    if (answers.length === 1) return [ask(`second ${id} after ${textAt(answers, 0)}`, undefined, 1)];
    if (answers.length === 2) return [ask(`rate ${textAt(answers, 1)}`, "judge")];
    return [];
  },
  grade: (_, answers) => ({ verdict: "right", score: textAt(answers, 2).length, extracted: null }),
  score: () => 0,
};

/** Echoes prompts; counts what it is asked. */
function echo(name: string, special: (asked: Asked) => Outcome | undefined = () => undefined) {
  const asked: Asked[] = [];
  const backend: Backend = {
    name,
    identity: name,
    canScore: true,
    async ask(batch, onOutcome, signal) {
      for (const [index, one] of batch.entries()) {
        if (signal.aborted) return;
        asked.push(one);
        onOutcome(index, special(one) ?? said(`<${textOf(one)}>`));
      }
    },
    stats: () => ({}),
    async [Symbol.asyncDispose]() {},
  };
  return { backend, asked };
}

const said = (text: string): Outcome => ({
  answer: { kind: "generate", samples: [{ text, finishReason: "stop", tokens: 1 }] },
});
const textOf = ({ request }: Asked) =>
  request.kind === "generate" && "text" in request.prompt ? request.prompt.text : "";

const items: TaskItem[] = [{ id: "a" }, { id: "b" }];

async function run(
  model: Backend,
  judge: Backend,
  options: { profile?: Profile; signal?: AbortSignal; seed?: number; items?: readonly TaskItem[] } = {},
) {
  using modelStore = new AnswerStore(join(folder, "model.jsonl"));
  using judgeStore = new AnswerStore(join(folder, "judge.jsonl"));
  const context = taskContext(conversation, folder, options);
  const states = await answerItems(conversation, options.items ?? items, context, {
    seed: options.seed ?? 42,
    answerer: async (role) =>
      role === "judge" ? { backend: judge, store: judgeStore } : { backend: model, store: modelStore },
  });
  return { states, context };
}

test("turns and judgments come round after round, each knowing the answers before", async () => {
  const [model, judge] = [echo("model"), echo("judge")];
  const { states } = await run(model.backend, judge.backend);
  expect(model.asked.map(textOf)).toEqual([
    "first a",
    "first b",
    "second a after <first a>",
    "second b after <first b>",
  ]);
  expect(judge.asked.map(textOf)[1]).toBe("rate <second b after <first b>>");
  expect(states.every(({ complete }) => complete)).toBe(true);
});

test("a second run asks nothing; another model, or another seed for what is sampled, asks again", async () => {
  await run(echo("model").backend, echo("judge").backend);
  const [again, judge] = [echo("model"), echo("judge")];
  const { states } = await run(again.backend, judge.backend);
  expect([again.asked.length, judge.asked.length]).toEqual([0, 0]);
  expect(textAt(states[0]!.answers, 1)).toBe("<second a after <first a>>");

  const other = echo("other model");
  await run(other.backend, echo("judge").backend);
  expect(other.asked).toHaveLength(4);

  const reseeded = echo("model");
  await run(reseeded.backend, echo("judge").backend, { seed: 43 });
  expect(reseeded.asked.map(textOf)).toEqual(["second a after <first a>", "second b after <first b>"]);
});

test("what is known when a run is interrupted is not asked again", async () => {
  const controller = new AbortController();
  const first = echo("model", (asked) => {
    if (textOf(asked) === "second a after <first a>") controller.abort();
    return undefined;
  });
  const { states, context } = await run(first.backend, echo("judge").backend, { signal: controller.signal });
  expect(states.map(({ complete }) => complete)).toEqual([false, false]);
  expect(
    await gradeItems(conversation, states, { ...context, signal: new AbortController().signal }),
  ).toEqual([]);

  const second = echo("model");
  await run(second.backend, echo("judge").backend);
  expect(second.asked.map(textOf)).toEqual(["second b after <first b>"]);
});

test("a line that a killed process left half written is asked again, the others are kept", async () => {
  await run(echo("model").backend, echo("judge").backend);
  const path = join(folder, "model.jsonl");
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  writeFileSync(path, lines.slice(0, -1).join("\n"));
  appendFileSync(path, `\n${lines.at(-1)!.slice(0, 40)}`);
  const again = echo("model");
  await run(again.backend, echo("judge").backend);
  expect(again.asked).toHaveLength(1);
  using store = new AnswerStore(path);
  expect(store.damagedLines).toBe(1);
});

test("an item that nobody would answer has no verdict, and is asked again next time", async () => {
  const broken = echo("judge", (asked) =>
    textOf(asked).includes("first a") ? { refused: { reason: "failed", message: "time-out" } } : undefined,
  );
  const { states, context } = await run(echo("model").backend, broken.backend);
  const records = await gradeItems(conversation, states, context);
  expect(records.map(({ status, reason }) => [status, reason])).toEqual([
    ["failed", "failed: time-out"],
    ["graded", undefined],
  ]);
  const mended = echo("judge");
  await run(echo("model").backend, mended.backend);
  expect(mended.asked).toHaveLength(1);
});

test("an answerer that refuses everything from the start ends it with the cause; one that has answered before goes on", async () => {
  const many = Array.from({ length: 40 }, (_, i): TaskItem => ({ id: String(i) }));
  const refusing = () =>
    echo("model", (): Outcome => ({ refused: { reason: "failed", message: "400 unknown field: seed" } }));
  const one = refusing();
  await expect(run(one.backend, echo("judge").backend, { items: many })).rejects.toMatchObject({
    ...{ code: "ERR_ENDPOINT", where: expect.stringContaining("400 unknown field: seed") },
  });
  expect(one.asked).toHaveLength(10);
  await run(echo("model").backend, echo("judge").backend, { items: many.slice(0, 1) });
  const later = refusing();
  await run(later.backend, echo("judge").backend, { items: many });
  expect(later.asked).toHaveLength(39);
});

test("a prompt that does not fit is skipped by the standard; the paper takes it as an empty answer", async () => {
  const full = () =>
    echo("model", (asked) =>
      textOf(asked) === "first a"
        ? { refused: { reason: "prompt-too-long", message: "5,000 tokens" } }
        : undefined,
    ).backend;
  const standard = await run(full(), echo("judge").backend);
  const [skipped] = await gradeItems(conversation, standard.states, standard.context);
  expect(skipped).toMatchObject({ status: "skipped", reason: "prompt-too-long: 5,000 tokens" });

  const paper = await run(full(), echo("judge").backend, { profile: "tulu2-paper" });
  expect(paper.states[0]).toMatchObject({ promptTooLong: true, complete: true });
  expect(textAt(paper.states[0]!.answers, 0)).toBe("");
});

test("seeds belong to the item: neighbours do not change them", async () => {
  const both = echo("model");
  await run(both.backend, echo("judge").backend);
  const seeds = new Map(both.asked.map((asked) => [textOf(asked), asked.seed]));
  rmSync(join(folder, "model.jsonl"));
  const alone = echo("model");
  using store = new AnswerStore(join(folder, "alone.jsonl"));
  await answerItems(conversation, [items[1]!], taskContext(conversation, folder), {
    seed: 42,
    answerer: async () => ({ backend: alone.backend, store }),
  });
  for (const asked of alone.asked) {
    const known = seeds.get(textOf(asked));
    if (known !== undefined) expect(asked.seed).toBe(known);
  }
  expect(new Set(seeds.values()).size).toBe(4);
});

test("an answer of another kind than was asked for is a mistake of the task, and said", () => {
  const answers: Answer[] = [{ kind: "text", logp: 0, tokens: 1 }];
  expect(() => answerAt(answers, 0, "generate")).toThrow(/answer 0 is text, not generate/);
});
