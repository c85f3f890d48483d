import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tokenizers from "tokenizers";
import { describe, expect, test } from "vitest";
import {
  awkwardText,
  byteLevelTokenizer,
  LLAMA_FOLDER,
  llamaVariant,
  seeded,
} from "../../../../tests/tokenizers.js";
import { loadTokenizer, type Tokenizer } from "./tokenizer.js";

const native = (tokenizer: Tokenizer) =>
  tokenizers.Tokenizer.fromFile(join(tokenizer.folder, "tokenizer.json"));

describe("a Llama-style folder", () => {
  test("says its ids and whether texts start with BOS", async () => {
    const llama = await loadTokenizer(LLAMA_FOLDER);
    expect([llama.bosTokenId, llama.eosTokenId, llama.padTokenId]).toEqual([1, 2, undefined]);
    expect(llama.addsBos).toBe(true);
    expect(llama.specialTokens).toEqual(
      new Map([
        ["<unk>", 0],
        ["<s>", 1],
        ["</s>", 2],
      ]),
    );
    expect([llama.idToToken(29871), llama.tokenToId("▁<"), llama.tokenToId("nothing")]).toEqual([
      "▁",
      529,
      undefined,
    ]);
  });

  test("counts its vocabulary by the highest id, holes included", async () => {
    const llama = await loadTokenizer(LLAMA_FOLDER);
    expect(llama.idToToken(llama.vocabSize - 1)).toBeDefined();
    expect(llama.idToToken(llama.vocabSize)).toBeUndefined();
    expect(llama.vocabSize).toBeGreaterThan(31_000);
  });

  test("encodes the published vector and puts BOS in front when asked", async () => {
    const llama = await loadTokenizer(LLAMA_FOLDER);
    expect(await llama.encode("A B C D")).toEqual([319, 350, 315, 360]);
    expect(await llama.encode("A", { addSpecialTokens: true })).toEqual([1, 319]);
  });

  test("add_bos_token of tokenizer_config.json overrules the post-processor", async () => {
    const without = await llamaVariant(
      () => {},
      (config) => (config.add_bos_token = false),
    );
    expect(without.addsBos).toBe(false);
    expect(await without.encode("A", { addSpecialTokens: true })).toEqual([319]);
    const added = await llamaVariant((json) => (json.post_processor = null));
    expect(await added.encode("A", { addSpecialTokens: true })).toEqual([1, 319]);
  });
});

describe("special tokens in a text", () => {
  test("are text unless parsing is asked for", async () => {
    const llama = await loadTokenizer(LLAMA_FOLDER);
    expect(await llama.encode("A</s>")).not.toContain(2);
    expect(await llama.encode("A</s>", { parseSpecialTokens: true })).toEqual([319, 2]);
  });

  test("stay text in a model that looks whole words up", async () => {
    // With ignore_merges the vocabulary entry "</s>" itself would match the text.
    const eager = await llamaVariant((json) => {
      json.model.ignore_merges = true;
      json.normalizer = null;
    });
    expect(await eager.encode("</s>")).not.toContain(2);
    expect(await eager.encode("</s>", { parseSpecialTokens: true })).toEqual([2]);
  });

  test("added tokens that are not special keep their ids without the special ones", async () => {
    const withTool = await llamaVariant((json) => {
      json.added_tokens.push({ id: 32500, content: "<pad>", special: true });
      json.added_tokens.push({ id: 32501, content: "<tool>", special: false });
    });
    expect(withTool.vocabSize).toBe(32502);
    expect(await withTool.encode("<tool>")).toEqual([32501]);
    expect(await withTool.encode("<pad>")).not.toContain(32500);
  });

  test("declared in tokenizer_config.json alone are known", async () => {
    const padded = await llamaVariant(
      () => {},
      (config) => {
        config.added_tokens_decoder = { 32000: { content: "<pad>", special: true } };
        config.pad_token = { content: "<pad>" };
      },
    );
    expect(padded.padTokenId).toBe(32000);
    expect(await padded.encode("A<pad>", { parseSpecialTokens: true })).toEqual([319, 32000]);
  });
});

describe("encoding in stretches", () => {
  const flags = [
    {},
    { lstrip: true },
    { rstrip: true },
    { lstrip: true, rstrip: true },
    { single_word: true },
  ];
  test.each(flags)("equals whole-string encoding with flags %o", async (flag) => {
    const random = seeded(7);
    const tokenizer = await llamaVariant((json) => Object.assign(json.added_tokens[2], flag));
    const library = native(tokenizer);
    for (let round = 0; round < 300; round++) {
      const text = awkwardText(random, 12, ["</s>", "</s>", "<s>", "<unk>"]);
      const expected = await library.encode(text, null, { addSpecialTokens: false });
      expect(await tokenizer.encode(text, { parseSpecialTokens: true }), JSON.stringify(text)).toEqual(
        expected.getIds(),
      );
    }
  });

  test.each(["always", "first", "never"])("equals it with Metaspace prefix %s", async (prepend_scheme) => {
    const random = seeded(8);
    const tokenizer = await llamaVariant((json) => {
      json.normalizer = null;
      json.pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme, split: false };
    });
    const library = native(tokenizer);
    for (let round = 0; round < 200; round++) {
      const text = awkwardText(random, 10, ["</s>", "<s>"]);
      const expected = await library.encode(text, null, { addSpecialTokens: false });
      expect(await tokenizer.encode(text, { parseSpecialTokens: true }), JSON.stringify(text)).toEqual(
        expected.getIds(),
      );
    }
  });
});

describe("decoding", () => {
  test("equals the library's, with special tokens and without", async () => {
    const random = seeded(9);
    for (const tokenizer of [await loadTokenizer(LLAMA_FOLDER), await byteLevelTokenizer()]) {
      const library = native(tokenizer);
      for (let round = 0; round < 100; round++) {
        const ids = Array.from({ length: 20 }, () => Math.floor(random() * 330));
        for (const skipSpecialTokens of [true, false]) {
          expect(tokenizer.decode(ids, { skipSpecialTokens })).toBe(
            await library.decode(ids, skipSpecialTokens),
          );
        }
      }
    }
  });
});

describe("a folder that cannot be used", () => {
  test("lists what is there when tokenizer.json is missing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-"));
    await writeFile(join(folder, "tokenizer.model"), "");
    await expect(loadTokenizer(folder)).rejects.toMatchObject({
      code: "ERR_TOKENIZER_MISSING",
      message: "no tokenizer.json; it holds tokenizer.model.",
      fix: expect.stringContaining("save_pretrained"),
    });
    await expect(loadTokenizer(join(folder, "nowhere"))).rejects.toMatchObject({
      code: "ERR_TOKENIZER_MISSING",
    });
  });

  test.each([
    ["{", "is not JSON"],
    ['{"model": {}}', "vocab"],
    ['{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}', "cannot be built"],
  ])("names the fault of %s", async (text, fault) => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-"));
    await writeFile(join(folder, "tokenizer.json"), text);
    await expect(loadTokenizer(folder)).rejects.toMatchObject({
      code: "ERR_TOKENIZER_INVALID",
      message: expect.stringContaining(fault),
    });
  });
});

describe("the chat template of a folder", () => {
  test("is read from both dialects, the file first", async () => {
    const inConfig = await llamaVariant(
      () => {},
      (config) => (config.chat_template = "from config"),
    );
    expect(inConfig.chatTemplate).toBe("from config");
    const named = await llamaVariant(
      () => {},
      (config) => {
        config.chat_template = [
          { name: "tool_use", template: "tools" },
          { name: "default", template: "chat" },
        ];
      },
    );
    expect(named.chatTemplate).toBe("chat");
    await writeFile(join(inConfig.folder, "chat_template.jinja"), "from file");
    expect((await loadTokenizer(inConfig.folder)).chatTemplate).toBe("from file");
  });

  test("is part of the fingerprint", async () => {
    const plain = await loadTokenizer(LLAMA_FOLDER);
    expect((await loadTokenizer(LLAMA_FOLDER)).fingerprint).toBe(plain.fingerprint);
    const other = await llamaVariant(
      () => {},
      (config) => (config.chat_template = "x"),
    );
    expect(other.fingerprint).not.toBe(plain.fingerprint);
  });
});
