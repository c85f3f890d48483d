import { readFile } from "node:fs/promises";
import { join } from "node:path";
import tokenizers from "tokenizers";
import { beforeAll, describe, expect, test } from "vitest";
import {
  awkwardText,
  byteLevelTokenizer,
  CHATML_TEMPLATE,
  LLAMA_FOLDER,
  llamaVariant,
  seeded,
} from "../../../../tests/tokenizers.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import { countConversations, renderConversations, renderSegments } from "./render.js";
import { checkBos, checkPrefixes, checkTrainedText, turnEnds } from "./render-checks.js";

/** Conversations of awkward text in all shapes; special tokens are typed in some of them. */
function randomConversations(seed: number, count: number, typed: readonly string[]): Conversation[] {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, index) => {
    const turns = 1 + Math.floor(random() * 3);
    const text = () => awkwardText(random, 1 + Math.floor(random() * 12), typed);
    const messages: Conversation["messages"] = random() < 0.3 ? [{ role: "system", content: text() }] : [];
    for (let turn = 0; turn < turns; turn++) {
      messages.push({ role: "user", content: text() }, { role: "assistant", content: text() });
    }
    return { dataset: "random", id: `random_${index}`, messages };
  });
}

const TEMPLATES: Record<string, () => Promise<Tokenizer>> = {
  "Tülu layout, Llama tokenizer": () => loadTokenizer(LLAMA_FOLDER),
  "Tülu layout, byte-level tokenizer": () => byteLevelTokenizer(),
  "Tülu layout, Metaspace that prefixes the first word only": () =>
    llamaVariant((json) => {
      json.normalizer = null;
      json.pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
    }),
  ChatML: () => byteLevelTokenizer({ eosToken: "<|im_end|>", chatTemplate: CHATML_TEMPLATE }),
  "ChatML that trims": () =>
    byteLevelTokenizer({ chatTemplate: CHATML_TEMPLATE.replace("['content']", "['content'] | trim") }),
  "special tokens that take white space beside them": () =>
    llamaVariant(
      (json) => Object.assign(json.added_tokens[2], { rstrip: true, lstrip: true }),
      (config) => (config.chat_template = "{% for m in messages %} {{ m.content }} </s> {% endfor %}"),
    ),
};

describe.each(Object.entries(TEMPLATES))("%s", (_name, load) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load();
  });

  test("joined stretches equal whole-string encoding", async () => {
    const library = tokenizers.Tokenizer.fromString(
      await readFile(join(tokenizer.folder, "tokenizer.json"), "utf8"),
    );
    const rows = randomConversations(1, 200, []);
    const rendered = await renderConversations(rows, tokenizer);
    for (const [index, row] of rows.entries()) {
      const segments = renderSegments(row.messages, tokenizer);
      const text =
        (segments[0]!.afterBos ? tokenizer.bosToken : "") + segments.map((each) => each.text).join("");
      const whole = (await library.encode(text, null, { addSpecialTokens: false })).getIds();
      const bos = tokenizer.addsBos && whole[0] !== tokenizer.bosTokenId ? [tokenizer.bosTokenId] : [];
      expect([...rendered[index]!.inputIds], JSON.stringify(text)).toEqual([...bos, ...whole]);
    }
  });

  test("special tokens come from the template only, and texts survive byte for byte", async () => {
    const plain = randomConversations(2, 200, []);
    const typed = randomConversations(3, 200, [...tokenizer.specialTokens.keys()]);
    const rows = [...plain, ...typed];
    const rendered = await renderConversations(rows, tokenizer);
    for (const [index, row] of rows.entries()) {
      const expected = renderSegments(row.messages, tokenizer).filter(
        ({ special }) => special === true,
      ).length;
      const specials = new Set(tokenizer.specialTokens.values());
      const bos = rendered[index]!.inputIds[0] === tokenizer.bosTokenId && tokenizer.addsBos ? 1 : 0;
      const found = [...rendered[index]!.inputIds].filter((id) => specials.has(id)).length;
      expect(found - bos, JSON.stringify(row.messages)).toBe(expected);
    }
  });

  test("counting gives the numbers of rendering", async () => {
    const rows = randomConversations(5, 300, [...tokenizer.specialTokens.keys()]);
    for (const specialTokensInContent of ["text", "parse"] as const) {
      for (const tokenVariant of ["A", "B", "C"] as const) {
        const options = { specialTokensInContent, tokenVariant };
        const rendered = await renderConversations(rows, tokenizer, options);
        expect(await countConversations(rows, tokenizer, options)).toEqual(
          rendered.map(({ inputIds, trainedTokens }) => ({ tokens: inputIds.length, trainedTokens })),
        );
      }
    }
    const texts = rows.flatMap(({ messages }) => messages.map(({ content }) => content));
    const options = { addSpecialTokens: true, parseSpecialTokens: true };
    expect(await tokenizer.countBatch(texts, options)).toEqual(
      (await tokenizer.encodeBatch(texts, options)).map(({ length }) => length),
    );
  });

  test("holds every promise that preflight checks", async () => {
    // "▁" stands for a space in SentencePiece vocabularies, so it does not come back as itself.
    const rows = randomConversations(4, 100, []).filter(
      ({ messages }) => !messages.some(({ content }) => content.includes("▁")),
    );
    const rendered = await renderConversations(rows, tokenizer);
    for (const [index, row] of rows.entries()) {
      expect(checkBos(rendered[index]!, tokenizer)).toEqual([]);
      if (rendered[index]!.straddlingTokens > 0) continue;
      // White space that a special token takes is not in the trained tokens.
      const swallows = [...tokenizer.specials.tokens.values()].some(({ lstrip, rstrip }) => lstrip || rstrip);
      const problems = swallows ? [] : checkTrainedText(rendered[index]!, row, tokenizer);
      expect(problems, JSON.stringify(row.messages)).toEqual([]);
      expect(await checkPrefixes(rendered[index]!, row, tokenizer), JSON.stringify(row.messages)).toEqual([]);
    }
    expect([...turnEnds(rendered, tokenizer).keys()]).toHaveLength(1);
  });
});
