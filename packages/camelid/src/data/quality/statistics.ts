/**
 * Running statistics of conversations, per source: lengths in characters, words and tokens, turns, languages.
 *
 * Parts counted apart can be merged, in any order, with the result of counting all in one: see length-histogram.ts.
 */
import type { Conversation } from "../conversation.js";
import { LanguageGuesser } from "./language-guess.js";
import { type HistogramData, LengthHistogram, type LengthSummary } from "./length-histogram.js";
import { PerSource } from "./per-source.js";
import { WordScanner } from "./word-scanner.js";

export interface SourceStatistics {
  readonly rows: number;
  /** Rows whose first message is a system message. */
  readonly withSystem: number;
  /** Per row, over all messages: UTF-16 units, words (word-scanner.ts), tokens where they were given. */
  readonly chars: LengthSummary;
  readonly words: LengthSummary;
  readonly tokens?: LengthSummary;
  /** Per row: user and assistant messages. */
  readonly turns: LengthSummary;
  /** Per row, characters of what the model answers. */
  readonly answerChars: LengthSummary;
  /** Rows by language (language-guess.ts), most first; "und" where it cannot be told. */
  readonly languages: Readonly<Record<string, number>>;
}

export class DataStatistics {
  private readonly scanner = new WordScanner();
  private readonly guesser = new LanguageGuesser();
  private perSource = new PerSource(freshCounts);

  /** @param tokens length of the rendered row, when the caller has tokenised it */
  process(row: Conversation, tokens?: number): void {
    const counts = this.perSource.of(row.dataset);
    let chars = 0;
    let answerChars = 0;
    let turns = 0;
    this.scanner.reset();
    for (const { role, content } of row.messages) {
      chars += content.length;
      if (role === "assistant") answerChars += content.length;
      if (role !== "system") turns++;
      this.scanner.append(content);
    }
    counts.rows++;
    if (row.messages[0]?.role === "system") counts.withSystem++;
    counts.chars.add(chars);
    counts.answerChars.add(answerChars);
    counts.turns.add(turns);
    counts.words.add(this.scanner.count);
    if (tokens !== undefined) counts.tokens.add(tokens);
    const language = this.guesser.guess(languageSample(row));
    counts.languages.set(language, (counts.languages.get(language) ?? 0) + 1);
  }

  merge(part: StatisticsData): void {
    for (const [source, data] of Object.entries(part)) {
      const counts = this.perSource.of(source);
      counts.rows += data.rows;
      counts.withSystem += data.withSystem;
      for (const length of LENGTHS) counts[length].merge(LengthHistogram.fromJSON(data[length]));
      for (const [language, rows] of Object.entries(data.languages)) {
        counts.languages.set(language, (counts.languages.get(language) ?? 0) + rows);
      }
    }
  }

  /** One histogram of a source, for charts. */
  histogram(source: string, length: (typeof LENGTHS)[number]): LengthHistogram {
    return this.perSource.of(source)[length];
  }

  finish(): Record<string, SourceStatistics> {
    return Object.fromEntries(
      [...this.perSource.entries()].map(([source, counts]) => [source, summarise(counts)]),
    );
  }

  /** Everything counted so far, as plain data for `merge`. */
  toJSON(): StatisticsData {
    return Object.fromEntries(
      [...this.perSource.entries()].map(([source, { rows, withSystem, languages, ...histograms }]) => {
        const lengths = Object.fromEntries(LENGTHS.map((length) => [length, histograms[length].toJSON()]));
        return [
          source,
          { rows, withSystem, languages: Object.fromEntries(languages), ...(lengths as Lengths) },
        ];
      }),
    );
  }
}

const LENGTHS = ["chars", "words", "tokens", "turns", "answerChars"] as const;
type Lengths = Record<(typeof LENGTHS)[number], HistogramData>;

export type StatisticsData = Readonly<
  Record<
    string,
    Lengths & {
      readonly rows: number;
      readonly withSystem: number;
      readonly languages: Record<string, number>;
    }
  >
>;

function freshCounts() {
  return {
    rows: 0,
    withSystem: 0,
    chars: new LengthHistogram(),
    words: new LengthHistogram(),
    tokens: new LengthHistogram(),
    turns: new LengthHistogram(),
    answerChars: new LengthHistogram(),
    languages: new Map<string, number>(),
  };
}

function summarise(counts: ReturnType<typeof freshCounts>): SourceStatistics {
  const tokens = counts.tokens.summary();
  return {
    rows: counts.rows,
    withSystem: counts.withSystem,
    chars: counts.chars.summary()!,
    words: counts.words.summary()!,
    ...(tokens && { tokens }),
    turns: counts.turns.summary()!,
    answerChars: counts.answerChars.summary()!,
    languages: Object.fromEntries(
      [...counts.languages].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)),
    ),
  };
}

/** The beginnings of the first two turns: an English "Translate:" should not decide over a long foreign answer. */
function languageSample(row: Conversation): string {
  const turns = row.messages.filter((message) => message.role !== "system").slice(0, 2);
  return turns.map(({ content }) => content.slice(0, 500)).join("\n");
}
