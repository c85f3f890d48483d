import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { sharedData } from "../../../../tests/shared-data.js";
import { CHATML_TEMPLATE } from "../../../../tests/tokenizers.js";
import { trainByteLevelBpe } from "../tokenizer/bpe-trainer.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import { writeTokenizerFolder } from "../tokenizer/write-tokenizer.js";
import type { Conversation } from "./conversation.js";
import { renderConversations } from "./render.js";
import { checkBos, checkPrefixes, checkTrainedText, turnEnds } from "./render-checks.js";

const data = sharedData();

async function readGz<T>(path: string): Promise<T> {
  return JSON.parse(gunzipSync(await readFile(join(data!, path))).toString("utf8")) as T;
}

/** Single turns in English and code, and multi-turn chats in many languages. */
async function realConversations(): Promise<Conversation[]> {
  const alpaca = await readGz<{ instruction: string; output: string }[]>(
    "gpt4_alpaca/alpaca_en_demo.json.gz",
  );
  const shared = await readGz<{ id: string; conversations: { from: string; value: string }[] }[]>(
    "sharegpt/sharegpt_sample.json.gz",
  );
  const single = alpaca.map(({ instruction, output }, index): Conversation => {
    const messages = [
      { role: "user" as const, content: instruction },
      { role: "assistant" as const, content: output },
    ];
    return { dataset: "gpt4_alpaca", id: `gpt4_alpaca_${index}`, messages };
  });
  const chats = shared.flatMap(({ id, conversations }): Conversation[] => {
    const turns = conversations.slice(0, 8);
    const alternates = turns.every(({ from }, index) => from === (index % 2 === 0 ? "human" : "gpt"));
    if (!alternates || turns.length < 2) return [];
    const messages = turns.map(({ value }, index) => ({
      role: index % 2 === 0 ? ("user" as const) : ("assistant" as const),
      content: value,
    }));
    return [{ dataset: "sharegpt", id, messages }];
  });
  return [...single, ...chats];
}

async function trained(texts: string[], chatTemplate?: string): Promise<Tokenizer> {
  const folder = await mkdtemp(join(tmpdir(), "camelid-real-"));
  const specialTokens = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"];
  const bpe = trainByteLevelBpe(texts, { vocabSize: 4096, specialTokens });
  const template = chatTemplate === undefined ? {} : { chatTemplate };
  await writeTokenizerFolder(folder, bpe, { bosToken: "<s>", eosToken: "</s>", ...template });
  return loadTokenizer(folder);
}

test.skipIf(data === undefined)(
  "real rows hold every promise, in the Tülu layout and in ChatML",
  async () => {
    const conversations = await realConversations();
    expect(conversations.length).toBeGreaterThan(1_000);
    const texts = conversations.flatMap(({ messages }) => messages.map(({ content }) => content));
    for (const chatTemplate of [undefined, CHATML_TEMPLATE]) {
      const tokenizer = await trained(texts.slice(0, 1500), chatTemplate);
      const rows = await renderConversations(conversations, tokenizer);
      // Contents that begin with white space may be merged with the line feed before them where nothing is trimmed.
      const clean = rows.flatMap((row, index) => (row.straddlingTokens === 0 ? [index] : []));
      expect(clean.length).toBeGreaterThan(0.95 * rows.length);
      for (const index of clean) {
        const [row, conversation] = [rows[index]!, conversations[index]!];
        expect([...checkBos(row, tokenizer), ...checkTrainedText(row, conversation, tokenizer)]).toEqual([]);
      }
      for (const index of clean.filter((_, place) => place % 10 === 0)) {
        expect(await checkPrefixes(rows[index]!, conversations[index]!, tokenizer)).toEqual([]);
      }
      expect(turnEnds(rows, tokenizer).size).toBe(1);
    }
  },
);
