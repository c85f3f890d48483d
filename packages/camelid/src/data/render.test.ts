import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import { IGNORE_INDEX, type RenderOptions, renderConversation } from "./render.js";

const LLAMA = fileURLToPath(new URL("../../../../tests/fixtures/llama-tokenizer", import.meta.url));

let llama: Tokenizer;
beforeAll(async () => {
  llama = await loadTokenizer(LLAMA);
});

const conversation = (
  ...turns: [role: "system" | "user" | "assistant", content: string][]
): Conversation => ({
  dataset: "test",
  id: "test_0",
  messages: turns.map(([role, content]) => ({ role, content })),
});

/** Ids with `*` behind those that carry loss, as the label rule is written down in the Tülu 2 facts. */
async function starred(row: Conversation, options: RenderOptions = {}): Promise<string> {
  const { inputIds, labels } = await renderConversation(row, llama, options);
  return [...inputIds].map((id, token) => (labels[token] === IGNORE_INDEX ? `${id}` : `${id}*`)).join(" ");
}

const USER_HI = "529 29989 1792 29989 29958 13 18567 727 13";
const ASSISTANT = "29966 29989 465 22137 29989 29958 13";

describe("the label rule of Tülu 2", () => {
  const twoTurns = conversation(
    ["user", "Hi there"],
    ["assistant", "Hello!"],
    ["user", "Bye"],
    ["assistant", "See you."],
  );
  const firstTurn = `1 ${USER_HI} ${ASSISTANT} 10994* 29991* 2*`;
  const secondTurn = `29989 1792 29989 29958 13 2059 29872 13 ${ASSISTANT} 13393* 366* 29889* 2*`;

  test("variant A drops the line feed after a mid-text EOS", async () => {
    expect(await starred(twoTurns, { tokenVariant: "A" })).toBe(`${firstTurn} 529 ${secondTurn}`);
  });

  test("variant B gives it a dummy prefix, and both carry loss", async () => {
    expect(await starred(twoTurns)).toBe(`${firstTurn} 29871* 13* 29966 ${secondTurn}`);
  });

  test("variant C gives it no dummy prefix", async () => {
    expect(await starred(twoTurns, { tokenVariant: "C" })).toBe(`${firstTurn} 13* 29966 ${secondTurn}`);
  });

  test("the variants agree on a single turn", async () => {
    const oneTurn = conversation(["user", "Hi there"], ["assistant", "Hello!"]);
    for (const tokenVariant of ["A", "B", "C"] as const) {
      expect(await starred(oneTurn, { tokenVariant })).toBe(firstTurn);
    }
  });
});
