/** The two shapes of OpenAI's answers, whole and in pieces. */
import type { TokenLogprob } from "../generate/requests.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Choice, Piece } from "./choices.js";

export interface Format {
  /** Starts ids: `chatcmpl`, `cmpl`. */
  prefix: string;
  object: string;
  chunkObject: string;
  whole(choice: Choice, tokenizer: Tokenizer): object;
  /** What comes before a choice's first piece, if anything. */
  opening(index: number): object | undefined;
  piece(piece: Piece, tokenizer: Tokenizer, offset: number): object;
}

export const chatFormat: Format = {
  prefix: "chatcmpl",
  object: "chat.completion",
  chunkObject: "chat.completion.chunk",
  whole: ({ index, text, finishReason, logprobs }, tokenizer) => ({
    index,
    message: { role: "assistant", content: text, refusal: null },
    logprobs: chatLogprobs(logprobs, tokenizer),
    finish_reason: finishReason,
  }),
  opening: (index) => ({
    index,
    delta: { role: "assistant", content: "" },
    logprobs: null,
    finish_reason: null,
  }),
  piece: ({ index, text, finishReason, logprobs }, tokenizer) => ({
    index,
    delta: text === "" && finishReason !== undefined ? {} : { content: text },
    logprobs: chatLogprobs(logprobs, tokenizer),
    finish_reason: finishReason ?? null,
  }),
};

export const textFormat: Format = {
  prefix: "cmpl",
  object: "text_completion",
  chunkObject: "text_completion",
  whole: ({ index, text, finishReason, logprobs }, tokenizer) => ({
    index,
    text,
    logprobs: textLogprobs(logprobs, tokenizer, 0),
    finish_reason: finishReason,
  }),
  opening: () => undefined,
  piece: ({ index, text, finishReason, logprobs }, tokenizer, offset) => ({
    index,
    text,
    logprobs: textLogprobs(logprobs, tokenizer, offset),
    finish_reason: finishReason ?? null,
  }),
};

function chatLogprobs(logprobs: TokenLogprob[] | undefined, tokenizer: Tokenizer) {
  if (logprobs === undefined) return null;
  const entry = ({ id, logp }: { id: number; logp: number }) => {
    const token = tokenText(id, tokenizer);
    // Part of a character: its bytes are not known from the text.
    const bytes = token.includes("\uFFFD") ? null : [...Buffer.from(token)];
    return { token, logprob: finite(logp), bytes };
  };
  const content = logprobs.map((one) => ({ ...entry(one), top_logprobs: one.top.map(entry) }));
  return { content, refusal: null };
}

function textLogprobs(logprobs: TokenLogprob[] | undefined, tokenizer: Tokenizer, offset: number) {
  if (logprobs === undefined) return null;
  const tokens = logprobs.map(({ id }) => tokenText(id, tokenizer));
  let at = offset;
  return {
    tokens,
    token_logprobs: logprobs.map(({ logp }) => finite(logp)),
    top_logprobs: logprobs.map(({ top }) =>
      Object.fromEntries(top.map(({ id, logp }) => [tokenText(id, tokenizer), finite(logp)])),
    ),
    text_offset: tokens.map((token) => {
      const start = at;
      at += token.length;
      return start;
    }),
  };
}

/**
 * A token as it looks inside a text: decoded alone, tokens of SentencePiece lose the space in front, and joined they would not be the
 * answer.
 */
function tokenText(id: number, tokenizer: Tokenizer): string {
  const decode = (...ids: number[]): string => tokenizer.decode(ids, { skipSpecialTokens: false });
  const letter = letterOf(tokenizer);
  return letter === undefined ? decode(id) : decode(letter, id).slice(1);
}

const letters = new WeakMap<Tokenizer, { id: number | undefined }>();

/** Some token that is one letter. */
function letterOf(tokenizer: Tokenizer): number | undefined {
  let found = letters.get(tokenizer);
  if (found === undefined) {
    const isLetter = (id: number | undefined): boolean =>
      id !== undefined && tokenizer.decode([id], { skipSpecialTokens: false }).length === 1;
    const ids = ["e", "a", "x", "E", "A"].map((letter) => tokenizer.tokenToId(letter));
    found = { id: ids.find(isLetter) };
    letters.set(tokenizer, found);
  }
  return found.id;
}

/** JSON has no infinity; OpenAI writes the same. */
const finite = (logp: number): number => Math.max(logp, -9999);
