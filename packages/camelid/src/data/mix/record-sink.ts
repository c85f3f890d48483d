/**
 * Verdicts across records, in mixture order, and the files they lead to: train, held out, removed, lineage.
 *
 * Exact duplicates are known when they come. Near-duplicates are known when all records are in: with
 * `dedup.near` records that pass everything else are held back in a file of their own, and `settle` goes through them.
 */
import { join } from "node:path";
import { SettingsError } from "../../errors.js";
import type { Mixture } from "../mixture.js";
import { ContentSet } from "../quality/content-set.js";
import { NearDeduplicator, type NearDedupSummary } from "../quality/near-dedup.js";
import { HashedFile, type RecordFile } from "./hashed-file.js";
import { HeldBack, type Survivor } from "./held-back.js";
import { HeldOutRule } from "./held-out.js";
import type { JobRecord, RowJob, RowJobResult } from "./job.js";
import { type Fate, LineageWriter } from "./lineage-writer.js";
import type { SourceState } from "./source-state.js";

export interface SinkPass {
  /** Shown in lineage and not counted as converted: the second and later writing of the same rows. */
  readonly copy?: string;
  /** Number of a file's first row in the source's list; given when up-sampling will need the rows that were kept. */
  readonly listRow?: (file: string) => number;
}

export class RecordSink {
  readonly lineage: LineageWriter;
  readonly #train: HashedFile;
  readonly #removed: HashedFile;
  readonly #heldOut: HashedFile | undefined;
  readonly #rule: HeldOutRule | undefined;
  readonly #seen: ContentSet | undefined;
  /** Id and source of the record that holds an entry of `#seen`. */
  readonly #holders: { readonly id: string; readonly source: string }[] = [];
  readonly #heldBack: HeldBack | undefined;
  readonly #removeContaminated: boolean;
  #holdsPairs: boolean | undefined;

  constructor(folder: string, mixture: Mixture) {
    this.#train = new HashedFile(join(folder, "train.jsonl"));
    this.#removed = new HashedFile(join(folder, "removed.jsonl"));
    this.lineage = new LineageWriter(join(folder, "lineage.tsv"));
    this.#seen = mixture.dedup?.exact && new ContentSet();
    this.#heldOut = mixture.heldOut && new HashedFile(join(folder, "held-out.jsonl"));
    this.#rule = mixture.heldOut && new HeldOutRule(mixture.heldOut.fraction, mixture.seed);
    this.#heldBack = mixture.dedup?.near && new HeldBack(folder, new NearDeduplicator(mixture.dedup.near));
    this.#removeContaminated = mixture.decontaminate?.action === "remove";
  }

  /** Whether quotas are only known to be full after `settle`. */
  get holdsBack(): boolean {
    return this.#heldBack !== undefined;
  }

  /** Takes the result of one job of `source`. */
  take(source: SourceState, job: RowJob, result: RowJobResult, pass: SinkPass = {}): void {
    this.#checkKind(source, result);
    if (pass.copy === undefined) this.#takeRows(source, job, result);
    for (let i = 0; i < result.records.length; i++) {
      const record = result.records[i]!;
      source.counts.sampled++;
      const line = result.bytes.subarray(i === 0 ? 0 : result.lineEnds[i - 1]!, result.lineEnds[i]!);
      const survivor = survivorOf(source, job, result, i, pass);
      const verdict = pass.copy === undefined ? this.#verdict(source, record, result, i) : undefined;
      if (verdict !== undefined) this.#remove(survivor, line, verdict.fate, verdict.reason);
      else if (this.#heldBack !== undefined && pass.copy === undefined) {
        this.#heldBack.add(survivor, line, result.inspection, i);
      } else this.#release(survivor, line, this.#isHeldOut(result, i));
    }
  }

  /** Whether the mixture is made of preference pairs; undefined while it has no record. */
  get holdsPairs(): boolean | undefined {
    return this.#holdsPairs;
  }

  /** One file has one shape: trainers read conversations or pairs. */
  #checkKind(source: SourceState, { records }: RowJobResult): void {
    for (const { isPair } of records) {
      this.#holdsPairs ??= isPair;
      if (isPair === this.#holdsPairs) continue;
      throw new SettingsError(
        "ERR_MIX_KINDS",
        `${source.name} holds ${isPair ? "preference pairs" : "conversations"}, the sources before it do not.`,
        {
          fix: "mix conversations and preference pairs into two folders.",
        },
      );
    }
  }

  notSampled(source: SourceState, file: string, row: number, rowEnd: number): void {
    source.counts.notSampled += rowEnd - row;
    this.lineage.add({ dataset: source.name, source: source.name, file, row, rowEnd, fate: "not-sampled" });
  }

  /** Decides on the records held back. @returns what near-deduplication found, if it was on */
  async settle(sources: readonly SourceState[]): Promise<NearDedupSummary | undefined> {
    return await this.#heldBack?.settle(sources, this.#rule, (survivor, line, heldOut, twin) => {
      if (twin !== undefined) {
        survivor.source.noteDuplicate(survivor.lineage.id!, twin.reason, twin.source);
        this.#remove(survivor, line, "near-duplicate", twin.reason);
      } else this.#release(survivor, line, heldOut);
    });
  }

  /** Closes the record files. */
  close(): Record<string, RecordFile> {
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
    source: SourceState,
    record: JobRecord,
    { inspection }: RowJobResult,
    i: number,
  ): { fate: Fate; reason: string } | undefined {
    const hit = inspection.filtered[i];
    if (hit !== undefined) {
      source.noteFiltered(record.id, hit);
      return { fate: "filtered", reason: `contains "${hit.keyword}"` };
    }
    if (this.#seen !== undefined && inspection.hashes.length > 0) {
      const hash = inspection.hashes.subarray(i * 4, i * 4 + 4);
      if (hash.some((word) => word !== 0)) {
        const entry = this.#seen.add(hash);
        const winner = this.#holders[entry];
        if (winner !== undefined) {
          const reason = `same content as ${winner.id} of ${winner.source}, which comes first in the mixture`;
          source.noteDuplicate(record.id, reason, winner.source);
          return { fate: "duplicate", reason };
        }
        this.#holders.push({ id: record.id, source: source.name });
      }
    }
    const contacts = inspection.contaminated[i];
    if (contacts !== undefined) {
      source.noteContacts(record.id, contacts);
      const { benchmark, item, coverage } = contacts[0]!;
      const reason = `holds ${Math.round(coverage * 100)} % of ${benchmark} ${item}`;
      if (this.#removeContaminated) return { fate: "contaminated", reason };
    }
    return undefined;
  }

  #isHeldOut({ inspection: { promptHashes } }: RowJobResult, i: number): boolean {
    return this.#rule !== undefined && promptHashes.length > 0 && this.#rule.decide(promptHashes[i * 4]!);
  }

  #remove({ source, lineage }: Survivor, line: Uint8Array, fate: Fate, reason: string): void {
    this.#removed.write(line);
    const { counts } = source;
    if (fate === "filtered") counts.filtered++;
    else if (fate === "duplicate") counts.deduplicated++;
    else if (fate === "near-duplicate") counts.nearDuplicates++;
    else counts.contaminated++;
    this.lineage.add({ ...lineage, fate, reason });
  }

  /** The record stays: held out, written, or one too many. */
  #release(survivor: Survivor, line: Uint8Array, heldOut: boolean): void {
    const { source, lineage, listRow } = survivor;
    if (heldOut) {
      source.counts.heldOut++;
      this.lineage.add({ ...lineage, fate: "held-out", line: this.#heldOut!.write(line) });
    } else if (source.isFull()) {
      source.counts.overQuota++;
      this.lineage.add({ ...lineage, fate: "over-quota", reason: "the quota was full" });
    } else {
      source.noteWritten(survivor, line);
      if (listRow !== undefined) source.kept.push(listRow);
      this.lineage.add({ ...lineage, fate: "written", line: this.#train.write(line) });
    }
  }

  /** The books of rows: used, bad, rejected. */
  #takeRows(source: SourceState, job: RowJob, { records, bad, dropped }: RowJobResult): void {
    const { counts } = source;
    counts.converted += records.length;
    const made = new Set(records.map((record) => record.index));
    counts.used += made.size;
    for (const row of bad) {
      source.noteBad(row);
      this.#rowFate(source, job, row.index, "bad", `${row.code}: ${row.message}`);
    }
    const named = new Set(bad.map((row) => row.index));
    for (const { index, reasons } of dropped) {
      source.noteDropped(reasons);
      named.add(index);
      const list = Object.entries(reasons).map(([why, times]) => (times === 1 ? why : `${why} (${times})`));
      if (!made.has(index)) counts.rejected++;
      this.#rowFate(
        source,
        job,
        index,
        "rejected",
        `${made.has(index) ? "part of the row: " : ""}${list.join("; ")}`,
      );
    }
    // A rule may make nothing without naming a reason; the books must still balance.
    for (let index = 0; index < job.rows.length; index++) {
      if (made.has(index) || named.has(index)) continue;
      counts.rejected++;
      source.noteDropped({ "nothing left": 1 });
      this.#rowFate(source, job, index, "rejected", "nothing left");
    }
  }

  #rowFate(source: SourceState, job: RowJob, index: number, fate: Fate, reason: string): void {
    const { file } = job.files[job.fileOf[index]!]!;
    this.lineage.add({
      dataset: source.name,
      source: source.name,
      file,
      row: job.rows[index]!,
      fate,
      reason,
    });
  }
}

function survivorOf(
  source: SourceState,
  job: RowJob,
  result: RowJobResult,
  i: number,
  pass: SinkPass,
): Survivor {
  const { id, dataset, index, step, turns, chars } = result.records[i]!;
  const { tokens, trainedTokens, languages } = result.inspection;
  const { file } = job.files[job.fileOf[index]!]!;
  const row = job.rows[index]!;
  const steps = step !== undefined && pass.copy !== undefined ? `${step}; ${pass.copy}` : (step ?? pass.copy);
  return {
    source,
    turns,
    chars,
    tokens: tokens[i] ?? 0,
    trainedTokens: trainedTokens[i] ?? 0,
    ...(languages[i] !== undefined && { language: languages[i] }),
    lineage: { id, dataset, source: source.name, file, row, ...(steps !== undefined && { steps }) },
    ...(pass.listRow && { listRow: pass.listRow(file) + row }),
  };
}
