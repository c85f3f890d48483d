import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { awkwardText, SAMPLE_TEXT, seeded } from "../../../../tests/tokenizers.js";
import { trainByteLevelBpe } from "./bpe-trainer.js";
import { loadTokenizer } from "./tokenizer.js";
import { writeTokenizerFolder } from "./write-tokenizer.js";

const pieces = (trained: { vocab: ReadonlyMap<string, number> }) => [...trained.vocab.keys()];

describe("training", () => {
  test("merges the most frequent pair first, ties by the smaller ids", () => {
    // "ab" 3 times wins; then xy, ab+c and space+ab tie at 2. The space is the byte character with the highest id of
    // these three, and the merged "ab" comes after all bytes.
    const { merges } = trainByteLevelBpe(["abc abc ab xy xy"], { vocabSize: 260 });
    expect(merges.slice(0, 3)).toEqual([
      ["a", "b"],
      ["x", "y"],
      ["Ġ", "ab"],
    ]);
  });

  test("an overlapping run is merged from the left", () => {
    const { merges } = trainByteLevelBpe(["aaaaa aaaaa"], { vocabSize: 400, minFrequency: 1 });
    expect(merges).toEqual([
      ["a", "a"],
      ["aa", "a"], // aa aa a: the odd one is left over on the right
      ["aa", "aaa"],
      ["Ġ", "aaaaa"],
    ]);
  });

  test("ids are special tokens, bytes, merges", () => {
    const trained = trainByteLevelBpe([SAMPLE_TEXT], { vocabSize: 300, specialTokens: ["<s>", "</s>"] });
    expect(pieces(trained).slice(0, 3)).toEqual(["<s>", "</s>", "!"]);
    expect([...trained.vocab.values()]).toEqual(Array.from({ length: 300 }, (_, id) => id));
    expect(pieces(trained)[258]).toBe(trained.merges[0]!.join(""));
  });

  test("stops where no pair reaches the smallest frequency", () => {
    expect(trainByteLevelBpe(["abc"], { vocabSize: 1000 }).merges).toEqual([]);
    expect(trainByteLevelBpe([], { vocabSize: 1000 }).vocab.size).toBe(256);
  });

  test("a vocabulary that cannot hold the bytes is refused", () => {
    expect(() => trainByteLevelBpe([], { vocabSize: 256, specialTokens: ["<s>"] })).toThrow(
      expect.objectContaining({ code: "ERR_VOCAB_SIZE", fix: expect.stringContaining("257") }),
    );
  });
});

describe("a written tokenizer", () => {
  test("round-trips any text", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-bpe-"));
    const trained = trainByteLevelBpe([SAMPLE_TEXT], { vocabSize: 320, specialTokens: ["<s>", "</s>"] });
    await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>" });
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.vocabSize).toBe(320);
    const random = seeded(3);
    const texts = Array.from({ length: 500 }, () => awkwardText(random, 12, ["</s>", "<s>"]));
    const encoded = await tokenizer.encodeBatch(texts);
    for (const [index, text] of texts.entries()) {
      expect(tokenizer.decode(encoded[index]!, { skipSpecialTokens: false })).toBe(text);
    }
  });

  test("gives every code point back", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-bpe-"));
    await writeTokenizerFolder(folder, trainByteLevelBpe([], { vocabSize: 256 }));
    const tokenizer = await loadTokenizer(folder);
    const isSurrogate = (point: number) => point >= 0xd800 && point < 0xe000;
    const points = Array.from({ length: 0x110000 }, (_, point) => point).filter(
      (point) => !isSurrogate(point),
    );
    for (let start = 0; start < points.length; start += 8192) {
      const text = String.fromCodePoint(...points.slice(start, start + 8192));
      expect(tokenizer.decode(await tokenizer.encode(text)) === text).toBe(true);
    }
  });

  test("puts BOS in front of encoded texts when it has one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-bpe-"));
    const trained = trainByteLevelBpe([], { vocabSize: 258, specialTokens: ["<s>", "</s>"] });
    await writeTokenizerFolder(folder, trained, { bosToken: "<s>", eosToken: "</s>", padToken: "</s>" });
    const tokenizer = await loadTokenizer(folder);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([0, 1, 1]);
    expect(await tokenizer.encode("!", { addSpecialTokens: true })).toEqual([0, 2]);
  });

  test("refuses a BOS that was not trained", async () => {
    const folder = await mkdtemp(join(tmpdir(), "camelid-bpe-"));
    const trained = trainByteLevelBpe([], { vocabSize: 256 });
    await expect(writeTokenizerFolder(folder, trained, { bosToken: "<s>" })).rejects.toMatchObject({
      code: "ERR_SPECIAL_TOKEN",
    });
  });
});
