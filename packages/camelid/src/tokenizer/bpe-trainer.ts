import { SettingsError } from "../errors.js";
import { BYTE_CHARACTERS, GPT2_WORDS } from "./byte-alphabet.js";
import { MaxHeap } from "./max-heap.js";

export interface BpeTrainingSettings {
  /** Ids in the finished tokenizer: special tokens + 256 bytes + merges. Fewer when the text runs out of pairs. */
  vocabSize: number;
  /** Take the first ids, in this order. Their text in the training data counts as ordinary text. */
  specialTokens?: readonly string[];
  /** A pair seen less often than this is not merged. */
  minFrequency?: number;
}

export interface TrainedBpe {
  readonly specialTokens: readonly string[];
  /** Piece -> id: special tokens, the 256 byte characters, then one piece per merge. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly merges: readonly (readonly [left: string, right: string])[];
}

/**
 * Trains a byte-level BPE: starts from bytes and keeps merging the most frequent pair of neighbours. Every text can be
 * encoded, and decodes to itself.
 *
 * Ties go to the pair with the smaller ids, so the result is a function of the word counts alone; vocabulary and merges
 * equal those of Hugging Face's `BpeTrainer` on the same text (tests/parity/tokenizer).
 *
 * @throws {SettingsError} ERR_VOCAB_SIZE when the vocabulary cannot hold the bytes and the special tokens
 * @see Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; Radford et al. 2019 (bytes as alphabet)
 */
export function trainByteLevelBpe(texts: Iterable<string>, settings: BpeTrainingSettings): TrainedBpe {
  const { vocabSize, specialTokens = [], minFrequency = 2 } = settings;
  const smallest = specialTokens.length + BYTE_CHARACTERS.length;
  if (!Number.isInteger(vocabSize) || vocabSize < smallest || vocabSize > MAX_VOCAB_SIZE) {
    throw new SettingsError("ERR_VOCAB_SIZE", `a vocabulary of ${vocabSize} pieces is out of range.`, {
      where: "vocabSize",
      fix: `choose ${smallest} (256 bytes and ${specialTokens.length} special tokens) to ${MAX_VOCAB_SIZE}.`,
    });
  }
  const vocab = new Vocabulary(specialTokens);
  const corpus = new Corpus(countWords(texts), vocab);
  const merges: [string, string][] = [];
  while (vocab.size < vocabSize) {
    const pair = corpus.mostFrequentPair(minFrequency);
    if (pair === undefined) break;
    merges.push([vocab.piece(pair.left), vocab.piece(pair.right)]);
    corpus.merge(pair, vocab.add(vocab.piece(pair.left) + vocab.piece(pair.right)));
  }
  return { specialTokens, vocab: vocab.ids, merges };
}

/** Two ids share one double in a pair's key. */
const ID_SPAN = 2 ** 24;
const MAX_VOCAB_SIZE = 1_000_000;

function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of text.match(GPT2_WORDS) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

class Vocabulary {
  readonly ids = new Map<string, number>();
  readonly #pieces: string[] = [];
  /** Id of each byte. Bytes are numbered in the order of their characters, as Hugging Face's trainer does. */
  readonly byteIds = new Int32Array(256);

  constructor(specialTokens: readonly string[]) {
    for (const token of specialTokens) this.add(token);
    for (const character of [...BYTE_CHARACTERS].sort()) {
      this.byteIds[BYTE_CHARACTERS.indexOf(character)] = this.add(character);
    }
  }

  get size(): number {
    return this.#pieces.length;
  }

  piece(id: number): string {
    return this.#pieces[id]!;
  }

  /** "ab"+"c" and "a"+"bc" are the same piece: it keeps the id of its first merge. */
  add(piece: string): number {
    const known = this.ids.get(piece);
    if (known !== undefined) return known;
    this.ids.set(piece, this.#pieces.length);
    return this.#pieces.push(piece) - 1;
  }
}

interface Pair {
  readonly left: number;
  readonly right: number;
}

/**
 * The distinct words as ids, with counts of neighbouring pairs kept up to date merge by merge. The heap holds counts
 * that may be out of date; a popped entry is put back when its pair has become rarer.
 */
class Corpus {
  readonly #words: Int32Array[] = [];
  readonly #frequencies: number[] = [];
  readonly #pairCounts = new Map<number, number>();
  /** Pair -> words that held it at some time. */
  readonly #pairWords = new Map<number, number[]>();
  readonly #heap = new MaxHeap<{ key: number; count: number }>(
    (a, b) => a.count > b.count || (a.count === b.count && a.key < b.key),
  );

  constructor(wordCounts: Map<string, number>, vocab: Vocabulary) {
    for (const [word, frequency] of wordCounts) {
      const ids = Int32Array.from(Buffer.from(word, "utf8"), (byte) => vocab.byteIds[byte]!);
      const index = this.#words.push(ids) - 1;
      this.#frequencies.push(frequency);
      for (let at = 0; at + 1 < ids.length; at++) this.#more(ids[at]!, ids[at + 1]!, frequency, index);
    }
    for (const [key, count] of this.#pairCounts) this.#heap.push({ key, count });
  }

  mostFrequentPair(minFrequency: number): Pair | undefined {
    for (let top = this.#heap.pop(); top !== undefined; top = this.#heap.pop()) {
      const count = this.#pairCounts.get(top.key) ?? 0;
      if (count !== top.count) {
        if (count > 0) this.#heap.push({ key: top.key, count });
        continue;
      }
      if (count < Math.max(1, minFrequency)) return undefined;
      return { left: Math.floor(top.key / ID_SPAN), right: top.key % ID_SPAN };
    }
    return undefined;
  }

  /** Replaces the pair by `merged` in every word that holds it. */
  merge({ left, right }: Pair, merged: number): void {
    const key = pairKey(left, right);
    const grown = new Set<number>();
    for (const index of new Set(this.#pairWords.get(key)))
      this.#mergeInWord(index, left, right, merged, grown);
    this.#pairCounts.delete(key);
    this.#pairWords.delete(key);
    for (const pair of grown) this.#heap.push({ key: pair, count: this.#pairCounts.get(pair)! });
  }

  /** Left to right; only the pairs beside a merge change. Pairs that became more frequent are added to `grown`. */
  #mergeInWord(index: number, left: number, right: number, merged: number, grown: Set<number>): void {
    const word = this.#words[index]!;
    const frequency = this.#frequencies[index]!;
    let length = 0;
    for (let at = 0; at < word.length; at++) {
      if (word[at] !== left || word[at + 1] !== right) {
        word[length++] = word[at]!;
        continue;
      }
      if (length > 0) {
        const previous = word[length - 1]!;
        this.#fewer(previous, left, frequency);
        grown.add(this.#more(previous, merged, frequency, index));
      }
      if (at + 2 < word.length) {
        const next = word[at + 2]!;
        this.#fewer(right, next, frequency);
        grown.add(this.#more(merged, next, frequency, index));
      }
      word[length++] = merged;
      at++;
    }
    this.#words[index] = word.subarray(0, length);
  }

  #fewer(left: number, right: number, by: number): void {
    const key = pairKey(left, right);
    this.#pairCounts.set(key, this.#pairCounts.get(key)! - by);
  }

  #more(left: number, right: number, by: number, word: number): number {
    const key = pairKey(left, right);
    this.#pairCounts.set(key, (this.#pairCounts.get(key) ?? 0) + by);
    const words = this.#pairWords.get(key);
    if (words === undefined) this.#pairWords.set(key, [word]);
    else if (words[words.length - 1] !== word) words.push(word);
    return key;
  }
}

/** Ordered like (left, right), so that ties between pairs are settled by comparing keys. */
function pairKey(left: number, right: number): number {
  return left * ID_SPAN + right;
}
