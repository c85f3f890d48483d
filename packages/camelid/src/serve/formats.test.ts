import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadTokenizer } from "../tokenizer/tokenizer.js";
import { chatFormat, textFormat } from "./formats.js";

const folder = fileURLToPath(new URL("../../../../tests/fixtures/llama-tokenizer", import.meta.url));

test("tokens of log-probabilities are the pieces of the text, spaces in front of words included", async () => {
  const tokenizer = await loadTokenizer(folder);
  const text = "camels walk over hills";
  const logprobs = (await tokenizer.encode(text)).map((id) => ({ id, logp: -1, top: [{ id, logp: -1 }] }));
  const choice = { index: 0, text, tokens: logprobs.length, finishReason: "stop" as const, logprobs };
  const whole = textFormat.whole(choice, tokenizer) as {
    logprobs: { tokens: string[]; text_offset: number[] };
  };
  expect(whole.logprobs.tokens.join("").trimStart()).toBe(text);
  expect(whole.logprobs.tokens.filter((token) => token.startsWith(" ")).length).toBeGreaterThan(2);
  const chat = chatFormat.whole(choice, tokenizer) as {
    logprobs: { content: { token: string; bytes: number[] }[] };
  };
  expect(chat.logprobs.content.map(({ token }) => token)).toEqual(whole.logprobs.tokens);
  for (const { token, bytes } of chat.logprobs.content) expect(Buffer.from(bytes).toString()).toBe(token);
});
