/** Records waiting for near-deduplication: lines and facts on disk, sketches in memory (120 bytes a record). */
import { join } from "node:path";
import type { NearDeduplicator, NearDedupSummary } from "../quality/near-dedup.js";
import { BufferedFile, linesOf } from "./buffered-file.js";
import { type HeldOutRule, PromptGroups } from "./held-out.js";
import type { Inspection } from "./inspect.js";
import type { LineageRow } from "./lineage-writer.js";
import type { SourceState, WrittenRecord } from "./source-state.js";

/** A record that passed everything that can be told without the others. */
export interface Survivor extends WrittenRecord {
  readonly source: SourceState;
  readonly lineage: Omit<LineageRow, "fate" | "line" | "reason">;
  /** Row in the source's list, for up-sampling. */
  readonly listRow?: number;
}

/** The record that stayed in place of a near-duplicate. */
export interface Twin {
  readonly reason: string;
  readonly source: string;
}

export class HeldBack {
  readonly #lines: BufferedFile;
  readonly #facts: BufferedFile;
  readonly #prompts = new PromptGroups();
  #records = 0;

  constructor(
    folder: string,
    readonly near: NearDeduplicator,
  ) {
    this.#lines = new BufferedFile(join(folder, "held-back.jsonl"));
    this.#facts = new BufferedFile(join(folder, "held-back-facts.jsonl"));
  }

  add(
    { source, ...facts }: Survivor,
    line: Uint8Array,
    { sketches, promptHashes }: Inspection,
    i: number,
  ): void {
    this.#lines.write(line);
    // Exempt sources have no sketch: they are like nothing, and nothing is like them.
    this.#facts.write(`${JSON.stringify({ source: source.index, ...facts })}\n`);
    this.near.add(source.name, sketches[i]);
    if (promptHashes.length > 0) this.#prompts.add(promptHashes.subarray(i * 4, i * 4 + 4));
    else this.#prompts.add(Uint32Array.of(this.#records, 1, 0, 0)); // nobody's neighbour
    this.#records++;
  }

  async settle(
    sources: readonly SourceState[],
    rule: HeldOutRule | undefined,
    decide: (survivor: Survivor, line: Uint8Array, heldOut: boolean, twin: Twin | undefined) => void,
  ): Promise<NearDedupSummary> {
    this.#lines.close();
    this.#facts.close();
    const { clusterOf, removed, summary } = this.near.finish();
    const heldOut = rule && this.#prompts.heldOut(rule, clusterOf);
    const winners = await this.#names(new Set(removed.winners));
    const lines = linesOf(this.#lines.path);
    let record = 0;
    let next = 0;
    for await (const fact of linesOf(this.#facts.path)) {
      const line = (await lines.next()).value as Uint8Array;
      const { source, ...rest } = JSON.parse(fact.toString()) as Omit<Survivor, "source"> & {
        source: number;
      };
      const survivor = { source: sources[source]!, ...rest };
      let twin: Twin | undefined;
      if (removed.rows[next] === record) {
        const winner = winners.get(removed.winners[next]!)!;
        const alike = Math.round(removed.similarity[next]! * 100);
        twin = { reason: `${alike} % alike with ${winner.id} of ${winner.source}`, source: winner.source };
        next++;
      }
      const isExempt = survivor.source.exempt;
      decide(survivor, line, !isExempt && heldOut?.[record] === 1, twin);
      record++;
    }
    return summary;
  }

  /** Ids and sources of some records: a winner may come after the record that lost to it. */
  async #names(records: ReadonlySet<number>): Promise<Map<number, { id: string; source: string }>> {
    const names = new Map<number, { id: string; source: string }>();
    let record = 0;
    for await (const fact of linesOf(this.#facts.path)) {
      if (records.has(record)) {
        const { lineage } = JSON.parse(fact.toString()) as Survivor;
        names.set(record, { id: lineage.id!, source: lineage.source });
      }
      record++;
    }
    return names;
  }
}
