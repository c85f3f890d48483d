/** `manifest.json`: what went in, what came out, and everything needed to make it again. */
import { writeFileAtomic } from "../../run/atomic-write.js";
import type { Mixture } from "../mixture.js";
import type { BadRow } from "./job.js";
import type { SourceCounts } from "./ledger.js";
import type { SourceNotes } from "./source-notes.js";

export interface Manifest {
  readonly format: 1;
  readonly mixture: string;
  readonly seed: number;
  readonly settings: Omit<Mixture, "sources">;
  readonly tokenizer?: { readonly folder: string; readonly fingerprint: string };
  readonly sources: readonly SourceManifest[];
  readonly totals: SourceCounts;
  readonly files: Readonly<Record<string, { rows: number; bytes: number; sha256: string }>>;
  /** Sources of the preset that were not there. */
  readonly missing: readonly { readonly source: string; readonly looked: string }[];
  readonly made: { readonly at: string; readonly seconds: number; readonly threads: number };
}

export interface SourceManifest extends SourceCounts {
  readonly name: string;
  readonly format: string;
  readonly rule: string;
  readonly draws: readonly string[];
  readonly files: readonly {
    readonly file: string;
    readonly rows: number;
    readonly bytes: number;
    readonly sha256: string;
    readonly blankLines?: number;
    readonly damage?: string;
  }[];
  readonly notes: readonly string[];
  readonly droppedReasons: Readonly<Record<string, number>>;
  readonly filterHits: Readonly<Record<string, number>>;
  /** The first 200; `bad` counts all. */
  readonly badRows: readonly Omit<BadRow, "index">[];
}

export function sourceManifest(
  head: Pick<SourceManifest, "name" | "format" | "rule" | "draws" | "files" | "notes">,
  counts: SourceCounts,
  notes: SourceNotes,
): SourceManifest {
  const { droppedReasons, filterHits } = notes;
  const badRows = notes.badRows.map(({ code, message, where, fix }) => ({ code, message, where, fix }));
  return { ...head, ...counts, droppedReasons, filterHits, badRows };
}

export function writeManifest(path: string, manifest: Manifest): void {
  writeFileAtomic(path, `${JSON.stringify(manifest, null, 2)}\n`);
}
