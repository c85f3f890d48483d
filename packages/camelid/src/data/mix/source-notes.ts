/** What the manifest and the report tell about a source besides its counts. Lists are cut, counts never are. */
import type { BadRow, JobRecord } from "./job.js";

export interface Example {
  readonly id: string;
  readonly text: string;
}

const EXAMPLES = 5;
const BAD_ROWS_LISTED = 200;

export class SourceNotes {
  readonly badRows: BadRow[] = [];
  badRowCount = 0;
  /** Reason -> parts of rows the source's rule left out. */
  readonly droppedReasons: Record<string, number> = {};
  readonly filterHits: Record<string, number> = {};
  readonly filterExamples: Record<string, Example[]> = {};
  readonly duplicateExamples: Example[] = [];

  bad(row: BadRow): void {
    this.badRowCount++;
    if (this.badRows.length < BAD_ROWS_LISTED) this.badRows.push(row);
  }

  dropped(reasons: Readonly<Record<string, number>>): void {
    for (const [reason, times] of Object.entries(reasons)) {
      this.droppedReasons[reason] = (this.droppedReasons[reason] ?? 0) + times;
    }
  }

  filtered({ id, filtered }: JobRecord): void {
    const { keyword, excerpt } = filtered!;
    this.filterHits[keyword] = (this.filterHits[keyword] ?? 0) + 1;
    this.filterExamples[keyword] ??= [];
    const examples = this.filterExamples[keyword];
    if (examples.length < EXAMPLES) examples.push({ id, text: excerpt });
  }

  duplicate({ id }: JobRecord, winner: string): void {
    if (this.duplicateExamples.length < EXAMPLES)
      this.duplicateExamples.push({ id, text: `same as ${winner}` });
  }
}
