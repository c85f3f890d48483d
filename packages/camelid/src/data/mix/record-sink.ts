/**
 * Verdicts across records, in mixture order, and the files they lead to: train, held out, removed, lineage.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Mixture } from "../mixture.js";
import { ContentSet } from "../quality/content-set.js";
import { BufferedFile } from "./buffered-file.js";
import type { JobRecord, RowJob, RowJobResult } from "./job.js";
import type { SourceCounts } from "./ledger.js";
import { type Fate, type LineageRow, LineageWriter } from "./lineage-writer.js";
import type { SourceNotes } from "./source-notes.js";

/** What the sink needs to know of the source at hand. */
export interface OpenSource {
  readonly name: string;
  readonly exempt: boolean;
  readonly counts: SourceCounts;
  readonly notes: SourceNotes;
  /** True once the source has what it is asked for; later records are over quota. */
  isFull(): boolean;
}

export interface SinkPass {
  /** Shown in lineage and not counted as converted: the second and later writing of the same rows. */
  readonly copy?: string;
  /** Called with the row of each record that goes to train: up-sampling draws its copies from these. */
  onWritten?(fileIndex: number, row: number, job: RowJob): void;
}

export class RecordSink {
  readonly lineage: LineageWriter;
  readonly #train: HashedFile;
  readonly #removed: HashedFile;
  readonly #heldOut: HashedFile | undefined;
  readonly #seen: ContentSet | undefined;
  /** Id and fate of the record that holds an entry of `#seen`. */
  readonly #holders: string[] = [];
  readonly #heldOutBelow: number;
  readonly #heldOutSalt: number;

  constructor(folder: string, mixture: Mixture) {
    this.#train = new HashedFile(join(folder, "train.jsonl"));
    this.#removed = new HashedFile(join(folder, "removed.jsonl"));
    this.lineage = new LineageWriter(join(folder, "lineage.tsv"));
    this.#seen = mixture.dedup?.exact && new ContentSet();
    this.#heldOut = mixture.heldOut && new HashedFile(join(folder, "held-out.jsonl"));
    this.#heldOutBelow = (mixture.heldOut?.fraction ?? 0) * 2 ** 32;
    this.#heldOutSalt = Math.imul(mixture.seed | 0, 0x9e3779b1);
  }

  /** Takes the results of one job of `source`. */
  take(source: OpenSource, job: RowJob, result: RowJobResult, pass: SinkPass = {}): void {
    this.#bad(source, job, result);
    this.#dropped(source, job, result, pass);
    const { counts } = source;
    for (let i = 0; i < result.records.length; i++) {
      const record = result.records[i]!;
      if (pass.copy === undefined) {
        counts.converted++;
        if (record.index !== result.records[i - 1]?.index) counts.used++;
      }
      counts.sampled++;
      const verdict = this.#verdict(source, result, record, i);
      const line = result.bytes.subarray(i === 0 ? 0 : result.lineEnds[i - 1]!, result.lineEnds[i]!);
      const lineNumber = this.#write(verdict.fate, line);
      this.#count(source, verdict.fate, record);
      if (verdict.fate === "written")
        pass.onWritten?.(job.fileOf[record.index]!, job.rows[record.index]!, job);
      const steps = [record.step, pass.copy].filter((step) => step !== undefined).join("; ");
      this.lineage.add({
        id: record.id,
        dataset: record.dataset,
        source: source.name,
        file: job.files[job.fileOf[record.index]!]!.file,
        row: job.rows[record.index]!,
        ...(steps !== "" && { steps }),
        fate: verdict.fate,
        ...(verdict.reason !== undefined && { reason: verdict.reason }),
        ...(lineNumber !== undefined && { line: lineNumber }),
      });
    }
  }

  notSampled(source: OpenSource, file: string, row: number, rowEnd: number): void {
    source.counts.notSampled += rowEnd - row;
    this.lineage.add({ dataset: source.name, source: source.name, file, row, rowEnd, fate: "not-sampled" });
  }

  /** Closes the record files. @returns their rows, bytes and hashes */
  close(): Record<string, { rows: number; bytes: number; sha256: string }> {
    const files = {
      "train.jsonl": this.#train,
      "removed.jsonl": this.#removed,
      "held-out.jsonl": this.#heldOut,
    };
    return Object.fromEntries(
      Object.entries(files).flatMap(([name, file]) =>
        file === undefined ? [] : [[name, file.close()] as const],
      ),
    );
  }

  #verdict(
    source: OpenSource,
    result: RowJobResult,
    record: JobRecord,
    i: number,
  ): { fate: Fate; reason?: string } {
    if (record.filtered !== undefined) {
      source.notes.filtered(record);
      return { fate: "filtered", reason: `contains "${record.filtered.keyword}"` };
    }
    if (this.#seen !== undefined && result.hashes.length > 0) {
      const hash = result.hashes.subarray(i * 4, i * 4 + 4);
      if (hash[0] !== 0 || hash[1] !== 0 || hash[2] !== 0 || hash[3] !== 0) {
        const size = this.#seen.size;
        const entry = this.#seen.add(hash);
        if (entry < size) {
          const winner = this.#holders[entry]!;
          source.notes.duplicate(record, winner);
          return { fate: "duplicate", reason: `same content as ${winner}, which came first` };
        }
        this.#holders.push(record.id);
      }
    }
    if (source.isFull()) return { fate: "over-quota" };
    if (this.#heldOut !== undefined && result.keyHashes.length > 0) {
      if ((result.keyHashes[i * 4]! ^ this.#heldOutSalt) >>> 0 < this.#heldOutBelow)
        return { fate: "held-out" };
    }
    return { fate: "written" };
  }

  #write(fate: Fate, line: Uint8Array): number | undefined {
    if (fate === "written") return this.#train.write(line);
    if (fate === "held-out") return this.#heldOut!.write(line);
    if (fate !== "over-quota") this.#removed.write(line);
    return undefined;
  }

  #count({ counts }: OpenSource, fate: Fate, record: JobRecord): void {
    switch (fate) {
      case "written":
        counts.written++;
        counts.turns += record.turns;
        counts.chars += record.chars;
        counts.tokens += record.tokens;
        counts.trainedTokens += record.trainedTokens;
        break;
      case "held-out":
        counts.heldOut++;
        break;
      case "filtered":
        counts.filtered++;
        break;
      case "duplicate":
        counts.deduplicated++;
        break;
      case "near-duplicate":
        counts.nearDuplicates++;
        break;
      case "contaminated":
        counts.contaminated++;
        break;
      case "over-quota":
        counts.overQuota++;
        break;
      default:
        break; // fates of rows, not of records
    }
  }

  #bad(source: OpenSource, job: RowJob, result: RowJobResult): void {
    for (const row of result.bad) {
      source.counts.bad++;
      source.notes.bad(row);
      this.#rowFate(source, job, row.index, "bad", `${row.code}: ${row.message}`);
    }
  }

  #dropped(source: OpenSource, job: RowJob, result: RowJobResult, pass: SinkPass): void {
    if (pass.copy !== undefined) return;
    const made = new Set(result.records.map((record) => record.index));
    for (const { index, reasons } of result.dropped) {
      source.notes.dropped(reasons);
      const reason = Object.entries(reasons)
        .map(([why, times]) => (times === 1 ? why : `${why} (${times})`))
        .join("; ");
      if (!made.has(index)) {
        source.counts.rejected++;
        this.#rowFate(source, job, index, "rejected", reason);
      } else this.#rowFate(source, job, index, "rejected", `part of the row: ${reason}`);
    }
    // A rule may make nothing without naming a reason; the books must still balance.
    const named = new Set([...result.dropped, ...result.bad].map(({ index }) => index));
    for (let index = 0; index < job.rows.length; index++) {
      if (made.has(index) || named.has(index)) continue;
      source.counts.rejected++;
      source.notes.dropped({ "nothing left": 1 });
      this.#rowFate(source, job, index, "rejected", "nothing left");
    }
  }

  #rowFate(source: OpenSource, job: RowJob, index: number, fate: Fate, reason: string): void {
    const row: LineageRow = {
      dataset: source.name,
      source: source.name,
      file: job.files[job.fileOf[index]!]!.file,
      row: job.rows[index]!,
      fate,
      reason,
    };
    this.lineage.add(row);
  }
}

/** Counts lines and hashes what it writes. */
class HashedFile {
  readonly #file: BufferedFile;
  readonly #hash = createHash("sha256");
  #rows = 0;
  #bytes = 0;

  constructor(path: string) {
    this.#file = new BufferedFile(path);
  }

  /** @returns the number of the line, from 1 */
  write(line: Uint8Array): number {
    this.#file.write(line);
    this.#hash.update(line);
    this.#bytes += line.length;
    return ++this.#rows;
  }

  close() {
    this.#file.close();
    return { rows: this.#rows, bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}
