import type { Tokenizer } from "./tokenizer.js";

/**
 * The text of each token in its place. Joined, they are the decoded text (special tokens included). A character that
 * takes several tokens appears whole at its last one; the tokens before it have empty texts.
 */
export function tokenTexts(ids: ArrayLike<number>, tokenizer: Tokenizer): string[] {
  const all = Array.from(ids);
  const decode = (from: number, to: number) =>
    tokenizer.decode(all.slice(from, to), { skipSpecialTokens: false });
  const texts: string[] = [];
  // Decoders look at neighbours (SentencePiece drops the first space), so each token is decoded behind the one before.
  let context = 0;
  let done = 0;
  for (let token = 0; token < all.length; token++) {
    const before = decode(context, done);
    const text = decode(context, token + 1);
    const incomplete = text.endsWith(REPLACEMENT) && token + 1 < all.length && token - done < LONGEST_WAIT;
    if (incomplete || text.length <= before.length) {
      texts.push("");
      continue;
    }
    texts.push(text.slice(before.length));
    context = done;
    done = token + 1;
  }
  return texts;
}

/** What decoders put where bytes do not make a character (yet). */
const REPLACEMENT = "\ufffd";
/** Two characters of four bytes: who waits longer waits for text that is damaged (it holds U+FFFD itself), not cut. */
const LONGEST_WAIT = 8;
