/**
 * Decontamination: which training rows contain which benchmark texts.
 *
 * Words are those of word-scanner.ts (case, punctuation and white space do not count). Three cases by length of the
 * benchmark text, n words being the length of an n-gram:
 * - n words or more: the row matches when its n-grams cover at least `minCoverage` of the text's words, and at least
 *   `minWords` words or nine tenths of a text shorter than that: one shared turn of phrase is no match;
 * - 3 to n-1 words ("Who wrote Hamlet?"): a message contains the text whole, and is at most twice as long;
 * - fewer: too little to tell, never matched, counted in the summary.
 *
 * N-grams that occur in more than `maxTextsPerNgram` benchmark texts are common phrasing ("which of the following
 * statements is true of the", the fixed opening of a task) and count neither as covered nor as to be covered; a text
 * made of nothing else cannot be told from its neighbours and is counted as such.
 *
 * Presets: `TULU3_STYLE`, 8-grams covering half of the text (Lambert et al. 2024, https://arxiv.org/abs/2411.15124; theirs
 * are tokens, ours words, and `minWords` is our addition); `GPT3_STYLE`, any shared 13-gram (Brown et al. 2020,
 * appendix C, https://arxiv.org/abs/2005.14165).
 */
import { SettingsError } from "../../errors.js";
import type { Conversation } from "../conversation.js";
import { coveredWords, NgramIndex } from "./ngram-index.js";
import { PerSource } from "./per-source.js";
import { ShortTexts } from "./short-texts.js";
import { WordScanner } from "./word-scanner.js";

export interface BenchmarkText {
  readonly benchmark: string;
  readonly id: string;
  readonly text: string;
}

export interface DecontaminationOptions {
  /** Words in an n-gram. Default 8. */
  readonly ngramWords?: number;
  /** Fraction of a benchmark text that must be covered, in [0, 1]; 0 means any n-gram. Default 0.5. */
  readonly minCoverage?: number;
  /** Words that must be covered, or nine tenths of a text that is shorter. Default 12. */
  readonly minWords?: number;
  /** Default 10. */
  readonly maxTextsPerNgram?: number;
  /** Which messages are searched. Default `all`: an answer can give a benchmark away, too. */
  readonly messages?: "all" | "user";
}

export const TULU3_STYLE = {
  ngramWords: 8,
  minCoverage: 0.5,
  minWords: 12,
} as const satisfies DecontaminationOptions;
export const GPT3_STYLE = {
  ngramWords: 13,
  minCoverage: 0,
  minWords: 13,
} as const satisfies DecontaminationOptions;

export interface ContaminationMatch {
  readonly benchmark: string;
  /** Of the benchmark text; of the first one where several are the same. */
  readonly id: string;
  /** Fraction of the benchmark text's matchable words found in the row. */
  readonly coverage: number;
  /** The longest matching stretch of the row: message, UTF-16 units in its NFC form, and the words themselves. */
  readonly message: number;
  readonly start: number;
  readonly end: number;
  readonly excerpt: string;
}

export interface BenchmarkCounts {
  /** Texts given; distinct ones after normalisation; those of fewer than 3 words; those of common phrasing alone. */
  texts: number;
  distinct: number;
  tooShort: number;
  commonOnly: number;
  /** Distinct texts found in training rows, and the rows. */
  found: number;
  rows: number;
}

export interface DecontaminationSummary {
  readonly settings: Required<DecontaminationOptions>;
  readonly rows: number;
  /** Rows that match any benchmark. */
  readonly contaminated: number;
  readonly perBenchmark: Record<string, BenchmarkCounts>;
  /** Source -> rows read, rows that match anything, and rows by benchmark. */
  readonly perSource: Record<
    string,
    { rows: number; contaminated: number; benchmarks: Record<string, number> }
  >;
}

export class Decontaminator {
  private readonly settings: Required<DecontaminationOptions>;
  private readonly scanner = new WordScanner();
  private readonly texts: IndexedText[] = [];
  private readonly index: NgramIndex;
  private readonly shortTexts = new ShortTexts();
  private readonly perBenchmark = new PerSource<BenchmarkCounts>(freshCounts);
  private readonly perSource = new PerSource(() => ({
    rows: 0,
    contaminated: 0,
    perBenchmark: new Map<string, number>(),
  }));

  /** Reads all benchmark texts and builds the index: some seconds and 100 MB for the 28,000 texts of the Tülu 2 suite. */
  constructor(benchmarkTexts: Iterable<BenchmarkText>, options: DecontaminationOptions = {}) {
    this.settings = { ...TULU3_STYLE, maxTextsPerNgram: 10, messages: "all", ...options };
    const { ngramWords, minCoverage, maxTextsPerNgram } = this.settings;
    if (
      !(ngramWords >= 4 && ngramWords <= 64 && minCoverage >= 0 && minCoverage <= 1 && maxTextsPerNgram >= 1)
    ) {
      throw new SettingsError(
        "ERR_DECONTAMINATION_SETTINGS",
        "decontamination was given numbers it cannot use.",
        {
          where: `ngramWords ${ngramWords}, minCoverage ${minCoverage}, maxTextsPerNgram ${maxTextsPerNgram}`,
          fix: "ngramWords lies in 4 to 64, minCoverage in 0 to 1, maxTextsPerNgram from 1.",
        },
      );
    }
    const words = this.readTexts(benchmarkTexts);
    this.index = new NgramIndex(words, ngramWords, maxTextsPerNgram);
    words.forEach((textWords, i) => {
      const text = this.texts[i]!;
      if (textWords.length < MIN_WORDS) this.perBenchmark.of(text.benchmark).tooShort++;
      else if (textWords.length < ngramWords) {
        this.shortTexts.add(textWords, i);
      } else {
        text.matchable = coveredWords(this.index.tellingPositions(textWords), ngramWords);
        if (text.matchable === 0) this.perBenchmark.of(text.benchmark).commonOnly++;
      }
    });
  }

  /** All benchmark texts the row contains, the best covered first; empty when it is clean. */
  process(row: Conversation): ContaminationMatch[] {
    const counts = this.perSource.of(row.dataset);
    counts.rows++;
    const candidates = new Map<number, Candidate>();
    const normalTexts: string[] = [];
    for (const [message, { role, content }] of row.messages.entries()) {
      if (this.settings.messages === "user" && role !== "user") continue;
      this.scanner.reset();
      normalTexts[message] = this.scanner.append(content);
      this.searchNgrams(message, candidates);
      this.searchShortTexts(message, candidates);
    }
    if (candidates.size === 0) return [];

    const matches: ContaminationMatch[] = [];
    for (const [textIndex, candidate] of candidates) {
      const text = this.texts[textIndex]!;
      const covered = candidate.whole ? text.matchable : this.coveredWords(candidate);
      if (!this.isEnough(covered, text.matchable)) continue;
      const coverage = covered / text.matchable;
      const { message, start, end } = candidate.longest;
      const excerpt = normalTexts[message]!.slice(start, end);
      matches.push({ benchmark: text.benchmark, id: text.id, coverage, message, start, end, excerpt });
      if (!text.found) this.perBenchmark.of(text.benchmark).found++;
      text.found = true;
    }
    if (matches.length > 0) counts.contaminated++;
    for (const benchmark of new Set(matches.map((match) => match.benchmark))) {
      this.perBenchmark.of(benchmark).rows++;
      counts.perBenchmark.set(benchmark, (counts.perBenchmark.get(benchmark) ?? 0) + 1);
    }
    return matches.sort((a, b) => b.coverage - a.coverage);
  }

  finish(): DecontaminationSummary {
    const perSource = Object.fromEntries(
      [...this.perSource.entries()].map(([source, { rows, contaminated, perBenchmark }]) => [
        source,
        { rows, contaminated, benchmarks: Object.fromEntries(perBenchmark) },
      ]),
    );
    return {
      settings: this.settings,
      rows: this.perSource.sum((counts) => counts.rows),
      contaminated: this.perSource.sum((counts) => counts.contaminated),
      perBenchmark: this.perBenchmark.toObject(),
      perSource,
    };
  }

  /** Words of each distinct text; texts of one benchmark with the same words are one. */
  private readTexts(benchmarkTexts: Iterable<BenchmarkText>): Uint32Array[] {
    const words: Uint32Array[] = [];
    const seen = new Set<string>();
    for (const { benchmark, id, text } of benchmarkTexts) {
      const counts = this.perBenchmark.of(benchmark);
      counts.texts++;
      this.scanner.reset();
      this.scanner.append(text);
      const textWords = this.scanner.hashes.slice(0, this.scanner.count);
      const key = `${benchmark}\n${textWords.join(" ")}`;
      if (seen.has(key)) continue;
      seen.add(key);
      counts.distinct++;
      words.push(textWords);
      this.texts.push({ benchmark, id, matchable: textWords.length, found: false });
    }
    return words;
  }

  private searchNgrams(message: number, candidates: Map<number, Candidate>): void {
    const { starts, ends, hashes, count } = this.scanner;
    const n = this.settings.ngramWords;
    this.index.search(hashes, count, (at, text, position) => {
      const candidate = candidates.get(text) ?? freshCandidate();
      candidates.set(text, candidate);
      candidate.positions.add(position);
      // Neighbouring n-grams of the row that are neighbours in the text, too, make one stretch.
      const { current } = candidate;
      if (current.message === message && current.at === at - 1 && current.position === position - 1) {
        current.end = ends[at + n - 1]!;
        current.words++;
      } else {
        candidate.current = { message, start: starts[at]!, end: ends[at + n - 1]!, words: n, at, position };
      }
      candidate.current.at = at;
      candidate.current.position = position;
      if (candidate.current.words > candidate.longest.words) candidate.longest = { ...candidate.current };
    });
  }

  private searchShortTexts(message: number, candidates: Map<number, Candidate>): void {
    const { hashes, count, starts, ends } = this.scanner;
    this.shortTexts.search(hashes, count, (at, text, words) => {
      const longest = { message, start: starts[at]!, end: ends[at + words - 1]!, words, at, position: 0 };
      candidates.set(text, { ...freshCandidate(), whole: true, longest });
    });
  }

  private coveredWords(candidate: Candidate): number {
    const positions = [...candidate.positions].sort((a, b) => a - b);
    return coveredWords(positions, this.settings.ngramWords);
  }

  private isEnough(covered: number, matchable: number): boolean {
    const { minCoverage, minWords } = this.settings;
    return covered >= minCoverage * matchable && covered >= Math.min(minWords, 0.9 * matchable);
  }
}

/** Texts of fewer words are never matched: "Yes" and "Good morning" are in every corpus. */
const MIN_WORDS = 3;

interface IndexedText {
  readonly benchmark: string;
  readonly id: string;
  /** Words covered by n-grams that tell this text from others. */
  matchable: number;
  found: boolean;
}

interface Stretch {
  message: number;
  start: number;
  end: number;
  words: number;
  /** Last n-gram of the stretch: its place in the row and in the benchmark text. */
  at: number;
  position: number;
}

interface Candidate {
  /** Positions in the benchmark text of the n-grams found. */
  readonly positions: Set<number>;
  readonly whole: boolean;
  current: Stretch;
  longest: Stretch;
}

function freshCandidate(): Candidate {
  const nowhere = { message: -1, start: 0, end: 0, words: 0, at: -2, position: -2 };
  return { positions: new Set(), whole: false, current: nowhere, longest: nowhere };
}

function freshCounts(): BenchmarkCounts {
  return { texts: 0, distinct: 0, tooShort: 0, commonOnly: 0, found: 0, rows: 0 };
}
