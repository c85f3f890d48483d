import { describe, expect, test } from "vitest";
import { byteLevelTokenizer, LLAMA_FOLDER } from "../../../../tests/tokenizers.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import { TextStream } from "./text-stream.js";

const tokenizers: [string, () => Promise<Tokenizer>][] = [
  ["byte-level", () => byteLevelTokenizer()],
  ["Llama's, with byte fallback", () => loadTokenizer(LLAMA_FOLDER)],
];
const TEXTS = [
  "the user asked for the answer",
  "naïve café Füße, 東京 😀😀 and 👩‍👩‍👧",
  "a\tb\n\n\nc   d",
  "  two spaces first",
  "ends in 😀",
];

function stream(tokenizer: Tokenizer, ids: readonly number[], stops: readonly string[] = []) {
  const text = new TextStream(tokenizer, stops);
  const pieces: string[] = [];
  let tokens = 0;
  for (const id of ids) {
    pieces.push(text.push(id));
    tokens++;
    if (text.stopped) break;
  }
  pieces.push(text.finish());
  return { pieces, tokens, text: text.text, stopped: text.stopped };
}

describe.each(tokenizers)("%s tokens", (_, load) => {
  test("come out piece by piece as the text they are together, never with half a character", async () => {
    const tokenizer = await load();
    for (const text of TEXTS) {
      const ids = await tokenizer.encode(text);
      const { pieces, text: streamed } = stream(tokenizer, ids);
      expect(pieces.join("")).toBe(tokenizer.decode(ids));
      expect(streamed).toBe(tokenizer.decode(ids));
      expect(pieces.join("|")).not.toContain("\uFFFD");
    }
  });

  test("a character whose bytes never become complete is shown at the end only", async () => {
    const tokenizer = await load();
    const ids = (await tokenizer.encode("a 😀")).slice(0, -1);
    const { pieces, text } = stream(tokenizer, ids);
    expect(pieces.slice(0, -1).join("")).not.toContain("\uFFFD");
    expect(text).toBe(tokenizer.decode(ids));
  });

  test("a stop string is found wherever tokens end, and nothing of it is let out", async () => {
    const tokenizer = await load();
    const text = "the answer\n\nand then the user";
    const ids = await tokenizer.encode(text);
    for (let start = 1; start < text.length - 1; start++) {
      for (const length of [1, 2, 5]) {
        const stop = text.slice(start, start + length);
        const result = stream(tokenizer, ids, [stop, "never said"]);
        expect(result.stopped).toBe(true);
        expect(result.text).toBe(text.slice(0, text.indexOf(stop)));
        expect(result.pieces.join("")).toBe(result.text);
        // It ends with the token that completes the stop, not later.
        expect(tokenizer.decode(ids.slice(0, result.tokens))).toContain(stop);
        expect(tokenizer.decode(ids.slice(0, result.tokens - 1))).not.toContain(stop);
      }
    }
  });
});

test("of several stop strings in a piece the earliest place counts", async () => {
  const tokenizer = await byteLevelTokenizer();
  const ids = await tokenizer.encode("the user asked for the answer");
  expect(stream(tokenizer, ids, ["answer", "asked", "user a"]).text).toBe("the ");
});

test("what only looked like a stop string is let out as soon as it is none", async () => {
  const tokenizer = await byteLevelTokenizer();
  const ids = await tokenizer.encode("ababac");
  expect(stream(tokenizer, ids, ["ababc", "bac!"]).pieces.join("")).toBe("ababac");
  expect(stream(tokenizer, ids, ["bac"]).text).toBe("aba");
  // At the very end as well.
  expect(stream(tokenizer, await tokenizer.encode("hello wor"), ["world"]).text).toBe("hello wor");
});
