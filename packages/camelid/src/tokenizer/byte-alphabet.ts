/**
 * The 256 printable characters that stand for the bytes in byte-level vocabularies (GPT-2 and everything after it):
 * printable Latin-1 characters stand for themselves, the other bytes take U+0100, U+0101, ... in order.
 */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

function byteCharacters(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

/**
 * GPT-2's pre-tokenisation: contractions, words, numbers and punctuation runs with at most one leading space, and
 * white space. Written with Unicode's own White_Space because JavaScript's \s counts U+FEFF and misses U+0085, while
 * the tokenizer library follows Unicode.
 */
export const GPT2_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
