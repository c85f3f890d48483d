/**
 * How llama.cpp cuts a text with a vocabulary of SentencePiece's kind: special tokens first, a space in front of every stretch that
 * follows one, then the two neighbours whose joined text has the highest score, again and again. Plain and slow, to find out before a
 * file is written whether it will be read as the model was trained.
 */
import { ModelError } from "../../errors.js";
import { compileChatTemplate } from "../../tokenizer/chat-template.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { effectiveChatTemplate } from "../../tokenizer/write-tokenizer.js";
import type { ParityFixtures } from "../fixtures.js";

export interface PieceVocabulary {
  /** By id. */
  texts: readonly string[];
  scores: readonly number[];
}

/**
 * Whether llama.cpp has to put a space in front of stretches for the fixtures' conversations to become their ids.
 * @throws {ModelError} `ERR_GGUF_TOKENIZER` when neither way gives them
 */
export function findSpacePrefix(
  vocabulary: PieceVocabulary,
  tokenizer: Tokenizer,
  { fixtures }: ParityFixtures,
): boolean {
  const template = compileChatTemplate(effectiveChatTemplate(tokenizer), tokenizer, tokenizer.folder);
  const asked = fixtures.filter(({ messages }) =>
    messages.every(({ content }) => !tokenizer.specials.occursIn(content)),
  );
  const fits = (prefix: boolean): boolean =>
    asked.every(({ messages, input_ids }) => {
      const text = template.render(messages, { addGenerationPrompt: true });
      return withBos(cut(text, vocabulary, tokenizer, prefix), tokenizer).join() === input_ids.join();
    });
  for (const prefix of [true, false]) if (fits(prefix)) return prefix;
  throw new ModelError(
    "ERR_GGUF_TOKENIZER",
    "llama.cpp would cut conversations into other tokens than this tokenizer does.",
    {
      where: tokenizer.folder,
      fix: "export with --to merged instead; llama.cpp puts spaces in front of texts in one way only.",
    },
  );
}

/** llama.cpp's users get the BOS from a setting of the file; templates often write it too. */
export function withBos(ids: number[], { addsBos, bosTokenId }: Tokenizer): number[] {
  return addsBos && bosTokenId !== undefined && ids[0] !== bosTokenId ? [bosTokenId, ...ids] : ids;
}

function cut(text: string, vocabulary: PieceVocabulary, { specials }: Tokenizer, prefix: boolean): number[] {
  const ids: number[] = [];
  let at = 0;
  for (const { start, end, token } of [...specials.find(text), undefined].map(
    (match) => match ?? { start: text.length, end: text.length, token: undefined },
  )) {
    if (start > at) ids.push(...cutStretch(`${prefix ? " " : ""}${text.slice(at, start)}`, vocabulary));
    if (token !== undefined) ids.push(token.id);
    at = end;
  }
  return ids;
}

function cutStretch(text: string, { texts, scores }: PieceVocabulary): number[] {
  const ids = idsOf(texts);
  const pieces = [...text.replaceAll(" ", "▁")];
  for (;;) {
    let best = -1;
    let highest = Number.NEGATIVE_INFINITY;
    for (let i = 1; i < pieces.length; i++) {
      const id = ids.get(pieces[i - 1]! + pieces[i]!);
      if (id === undefined || scores[id]! <= highest) continue;
      best = i;
      highest = scores[id]!;
    }
    if (best < 0) break;
    pieces.splice(best - 1, 2, pieces[best - 1]! + pieces[best]!);
  }
  return pieces.flatMap((piece) => {
    const id = ids.get(piece);
    return id !== undefined ? [id] : [...Buffer.from(piece)].map((byte) => ids.get(byteToken(byte)) ?? 0);
  });
}

const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

const known = new WeakMap<readonly string[], Map<string, number>>();
function idsOf(texts: readonly string[]): Map<string, number> {
  const found = known.get(texts) ?? new Map(texts.map((text, id) => [text, id]));
  known.set(texts, found);
  return found;
}
