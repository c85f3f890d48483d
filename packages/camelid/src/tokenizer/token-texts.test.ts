import { expect, test } from "vitest";
import { awkwardText, byteLevelTokenizer, LLAMA_FOLDER, seeded } from "../../../../tests/tokenizers.js";
import { tokenTexts } from "./token-texts.js";
import { loadTokenizer } from "./tokenizer.js";

test("a character of several tokens stands at the last of them", async () => {
  const tokenizer = await byteLevelTokenizer();
  const ids = await tokenizer.encode("a界b"); // three bytes without a merge
  expect(tokenTexts(ids, tokenizer)).toEqual(["a", "", "", "界", "b"]);
});

test("spaces stay with their tokens", async () => {
  const llama = await loadTokenizer(LLAMA_FOLDER);
  const ids = await llama.encode("A B</s>\nHi there", { parseSpecialTokens: true });
  expect(tokenTexts([1, ...ids], llama)).toEqual(["<s>", " A", " B", "</s>", " ", "\n", "Hi", " there"]);
});

test("joined texts are the decoded text", async () => {
  const random = seeded(5);
  for (const tokenizer of [await byteLevelTokenizer(), await loadTokenizer(LLAMA_FOLDER)]) {
    for (let round = 0; round < 100; round++) {
      const ids = await tokenizer.encode(awkwardText(random, 12, ["</s>"]), {
        parseSpecialTokens: true,
      });
      const whole = tokenizer.decode(ids, { skipSpecialTokens: false });
      expect(tokenTexts(ids, tokenizer).join("")).toBe(whole);
    }
  }
});
