import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../../../../../tests/tiny-model.js";
import { renderPrompt } from "../../data/render.js";
import { createEngine } from "../../generate/engine.js";
import type { Engine } from "../../generate/requests.js";
import { loadModel } from "../../model/load.js";
import { loadTokenizer } from "../../tokenizer/tokenizer.js";
import { ChatSession } from "./session.js";
import { shortNames } from "./short-names.js";

const root = mkdtempSync(join(tmpdir(), "camelid-chat-"));
const engines: Engine[] = [];
beforeAll(async () => {
  torch.setNumThreads(1);
  for (const seed of [1, 2]) {
    const { model } = await writeTinyModel(join(root, String(seed)), { seed });
    engines.push(createEngine(loadModel(model), await loadTokenizer(model)));
  }
});
afterAll(async () => {
  for (const engine of engines) {
    await engine[Symbol.asyncDispose]();
    engine.model[Symbol.dispose]();
  }
  rmSync(root, { recursive: true, force: true });
});

const never = new AbortController().signal;
const session = (system?: string): ChatSession =>
  new ChatSession(
    engines.map((engine, i) => ({ name: `model ${i}`, engine })),
    { maxNewTokens: 8 },
    system,
  );

test("every model gets its own answers back as history", async () => {
  const chat = session("Be short.");
  const first = await chat.ask("Hello?", () => {}, never);
  const second = await chat.ask("And then?", () => {}, never);
  for (const [i, engine] of engines.entries()) {
    const promptIds = await renderPrompt(
      [
        { role: "system", content: "Be short." },
        { role: "user", content: "Hello?" },
        { role: "assistant", content: first[i]!.text },
        { role: "user", content: "And then?" },
      ],
      engine.tokenizer,
    );
    const expected = (await engine.generate([{ promptIds, maxNewTokens: 8 }]))[0]![0]!;
    expect(second[i]!.text).toBe(expected.text);
  }
});

test("a question taken back was never asked", async () => {
  const chat = session();
  const [once] = await chat.ask("Hello?", () => {}, never);
  expect(chat.undo()).toBe("Hello?");
  const [again] = await chat.ask("Hello?", () => {}, never);
  expect(again!.text).toBe(once!.text);
  chat.clear();
  expect(chat.undo()).toBeUndefined();
});

test("text grows, and an answer that was stopped is kept as it was", async () => {
  const chat = session();
  const stop = new AbortController();
  const texts: string[] = [];
  const answers = await chat.ask(
    "Hello?",
    (speaker, text) => {
      if (speaker === 0) texts.push(text);
      if (texts.length === 3) stop.abort();
    },
    stop.signal,
  );
  expect(texts.every((text, i) => text.startsWith(texts[i - 1] ?? ""))).toBe(true);
  expect(answers[0]).toMatchObject({ isCut: true, text: texts.at(-1) });
  expect(chat.records()[0]!.messages.at(-1)).toEqual({ role: "assistant", content: texts.at(-1) });
});

test("a question that does not fit is nobody's, and the talk goes on", async () => {
  const chat = session();
  await expect(chat.ask("word ".repeat(500), () => {}, never)).rejects.toThrow(/context/);
  expect(chat.turns).toBe(0);
  await chat.ask("Hello?", () => {}, never);
  expect(chat.turns).toBe(1);
});

test("folders are told apart by as little as needed", () => {
  expect(shortNames(["/runs/a/base"])).toEqual(["base"]);
  expect(shortNames(["/runs/sft/final", "/runs/dpo/final"])).toEqual(["sft/final", "dpo/final"]);
  expect(shortNames(["/x/sft/final", "/y/sft/final", "/y/base"])).toEqual([
    "x/sft/final",
    "y/sft/final",
    "base",
  ]);
});
