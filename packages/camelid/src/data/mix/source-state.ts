/** What is known of a source while it is mixed: its books, its examples, its lengths, its quota. */
import { LengthHistogram } from "../quality/length-histogram.js";
import type { BadRow, Contact, FilterHit } from "./job.js";
import { newCounts } from "./ledger.js";

export interface Example {
  readonly id: string;
  readonly text: string;
}

const EXAMPLES = 5;
const LISTED = 200;
const SAMPLED_LINES = 3;
/** A row to look at; longer ones would swamp the report. */
const SAMPLED_LINE_BYTES = 12_000;

/** Lists are cut, counts never are. */
export class SourceState {
  readonly counts = newCounts();
  readonly badRows: BadRow[] = [];
  /** Reason -> parts of rows the source's rule left out. */
  readonly droppedReasons: Record<string, number> = {};
  readonly filterHits: Record<string, number> = {};
  readonly filterExamples: Record<string, Example[]> = {};
  readonly duplicateExamples: Example[] = [];
  /** Winning source -> records this source lost to it. */
  readonly lostTo: Record<string, number> = {};
  readonly contacts: Record<string, number> = {};
  readonly contaminated: (Contact & { readonly id: string })[] = [];
  readonly languages: Record<string, number> = {};
  readonly chars = new LengthHistogram();
  readonly turns = new LengthHistogram();
  readonly tokens = new LengthHistogram();
  /** Lines of written records, spread over the source. */
  readonly samples: Uint8Array[] = [];
  /** Rows of records that went to train, when up-sampling may need them again. */
  readonly kept: number[] = [];

  constructor(
    readonly index: number,
    readonly name: string,
    readonly exempt: boolean,
    readonly quota: { readonly rows?: number; readonly trainedTokens?: number },
  ) {}

  isFull(): boolean {
    const { rows, trainedTokens } = this.quota;
    if (rows !== undefined && this.counts.written >= rows) return true;
    return trainedTokens !== undefined && this.counts.trainedTokens >= trainedTokens;
  }

  noteBad(row: BadRow): void {
    this.counts.bad++;
    if (this.badRows.length < LISTED) this.badRows.push(row);
  }

  noteDropped(reasons: Readonly<Record<string, number>>): void {
    for (const [reason, times] of Object.entries(reasons)) increase(this.droppedReasons, reason, times);
  }

  noteFiltered(id: string, { keyword, excerpt }: FilterHit): void {
    increase(this.filterHits, keyword);
    this.filterExamples[keyword] ??= [];
    const examples = this.filterExamples[keyword];
    if (examples.length < EXAMPLES) examples.push({ id, text: excerpt });
  }

  noteDuplicate(id: string, winner: string, winnerSource: string): void {
    increase(this.lostTo, winnerSource);
    if (this.duplicateExamples.length < EXAMPLES) this.duplicateExamples.push({ id, text: winner });
  }

  noteContacts(id: string, contacts: readonly Contact[]): void {
    for (const benchmark of new Set(contacts.map((contact) => contact.benchmark)))
      increase(this.contacts, benchmark);
    if (this.contaminated.length < LISTED) this.contaminated.push({ id, ...contacts[0]! });
  }

  noteWritten(record: WrittenRecord, line: Uint8Array): void {
    const { counts } = this;
    counts.written++;
    counts.turns += record.turns;
    counts.chars += record.chars;
    counts.tokens += record.tokens;
    counts.trainedTokens += record.trainedTokens;
    this.chars.add(record.chars);
    this.turns.add(record.turns);
    if (record.tokens > 0) this.tokens.add(record.tokens);
    if (record.language !== undefined) increase(this.languages, record.language);
    this.#sample(line);
  }

  /** The 1st, 10th, 100th ... written record, newest last: spread out without a random stream. */
  #sample(line: Uint8Array): void {
    const { written } = this.counts;
    if (line.length > SAMPLED_LINE_BYTES || written % 10 ** this.samples.length !== 0) return;
    if (this.samples.length < SAMPLED_LINES) this.samples.push(line.slice());
  }
}

export interface WrittenRecord {
  readonly turns: number;
  readonly chars: number;
  readonly tokens: number;
  readonly trainedTokens: number;
  readonly language?: string;
}

function increase(counts: Record<string, number>, key: string, by = 1): void {
  counts[key] = (counts[key] ?? 0) + by;
}
