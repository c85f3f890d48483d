import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Conversation } from "../../packages/camelid/src/data/conversation.js";
import { IGNORE_INDEX, renderConversation, renderPrompt } from "../../packages/camelid/src/data/render.js";
import { trainByteLevelBpe } from "../../packages/camelid/src/tokenizer/bpe-trainer.js";
import { loadTokenizer, type Tokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { tuluTemplate } from "../../packages/camelid/src/tokenizer/tulu-template.js";
import { writeTokenizerFolder } from "../../packages/camelid/src/tokenizer/write-tokenizer.js";

/** Stored by tokenizer/make.py. */
const fixture = (name: string): string =>
  fileURLToPath(new URL(`tokenizer/fixtures/${name}`, import.meta.url));

async function readJson<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(fixture(name), "utf8")) as T;
}

interface BpeReference {
  vocab_size: number;
  min_frequency: number;
  special_tokens: string[];
  texts: string[];
  vocab: string[];
  encoded: { text: string; ids: number[] }[];
}

interface ChatReference {
  source: string;
  rows: {
    messages: Conversation["messages"];
    ids: number[];
    prompt_ids: number[];
    assistant_mask?: number[];
  }[];
}

describe("our BPE trainer and Hugging Face's", async () => {
  const reference = await readJson<BpeReference>("bpe.json");
  const trained = trainByteLevelBpe(reference.texts, {
    vocabSize: reference.vocab_size,
    minFrequency: reference.min_frequency,
    specialTokens: reference.special_tokens,
  });

  test("give the same vocabulary", () => {
    expect([...trained.vocab.keys()]).toEqual(reference.vocab);
  });

  test("give the same merges in the same order", async () => {
    const { model } = await readJson<{ model: { merges: [string, string][] } }>("tokenizer.json");
    expect(trained.merges).toEqual(model.merges);
  });

  test("give the same ids for awkward texts", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-parity-"));
    await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>" });
    const tokenizer = await loadTokenizer(folder);
    for (const { text, ids } of reference.encoded) {
      expect(await tokenizer.encode(text, { parseSpecialTokens: true }), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text);
    }
  });
});

describe("rendered rows and transformers' apply_chat_template", async () => {
  const templates = await readJson<Record<string, ChatReference>>("chat.json");

  async function tokenizerWith(chatTemplate: string): Promise<Tokenizer> {
    const folder = await mkdtemp(join(tmpdir(), "camelid-parity-"));
    await writeFile(join(folder, "tokenizer.json"), await readFile(fixture("tokenizer.json")));
    await writeFile(
      join(folder, "tokenizer_config.json"),
      JSON.stringify({
        bos_token: "<s>",
        eos_token: "</s>",
        pad_token: "<pad>",
        chat_template: chatTemplate,
      }),
    );
    return loadTokenizer(folder);
  }

  test.each(Object.entries(templates))("have equal ids: %s", async (_name, { source, rows }) => {
    const tokenizer = await tokenizerWith(source);
    for (const [index, { messages, ids, prompt_ids }] of rows.entries()) {
      const row = await renderConversation({ dataset: "parity", id: `${index}`, messages }, tokenizer);
      expect([...row.inputIds]).toEqual(ids);
      expect([...(await renderPrompt(messages.slice(0, -1), tokenizer))]).toEqual(prompt_ids);
      expect(row.trainedTokens).toBeGreaterThan(0);
    }
  });

  test("include the shipped template", () => {
    expect(templates.tulu!.source).toBe(tuluTemplate({ addsBos: true }));
  });

  const tagged = Object.entries(templates).filter(([, { rows }]) => rows[0]!.assistant_mask !== undefined);
  test.each(tagged)("have equal masks: %s", async (_name, { source, rows }) => {
    const tokenizer = await tokenizerWith(source);
    for (const [index, { messages, assistant_mask }] of rows.entries()) {
      const row = await renderConversation({ dataset: "parity", id: `${index}`, messages }, tokenizer);
      expect([...row.labels].map((label) => (label === IGNORE_INDEX ? 0 : 1))).toEqual(assistant_mask);
    }
  });
});
