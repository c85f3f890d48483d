/** Benchmark texts too short for an n-gram, found whole in messages of at most twice their length. */
export class ShortTexts {
  private readonly byHash = new Map<number, { words: Uint32Array; text: number }[]>();
  private readonly lengths = new Set<number>();

  add(words: Uint32Array, text: number): void {
    const hash = hashOf(words, 0, words.length);
    this.byHash.set(hash, [...(this.byHash.get(hash) ?? []), { words, text }]);
    this.lengths.add(words.length);
  }

  /** Calls `found` for every place where a text stands in the message. */
  search(
    message: Uint32Array,
    count: number,
    found: (at: number, text: number, words: number) => void,
  ): void {
    for (const length of this.lengths) {
      if (count < length || count > 2 * length) continue; // so this runs on messages of a dozen words at most
      for (let at = 0; at + length <= count; at++) {
        for (const { words, text } of this.byHash.get(hashOf(message, at, length)) ?? []) {
          if (words.length === length && words.every((word, i) => word === message[at + i]))
            found(at, text, length);
        }
      }
    }
  }
}

function hashOf(words: Uint32Array, at: number, length: number): number {
  let hash = length;
  for (let i = at; i < at + length; i++) hash = (Math.imul(hash, 0x2c1b3c6f) + words[i]!) | 0;
  return hash;
}
