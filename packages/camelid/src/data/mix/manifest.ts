/** `manifest.json`: what went in, what came out, and everything needed to make it again. */
import { readFileSync } from "node:fs";
import { SettingsError } from "../../errors.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import type { Mixture } from "../mixture.js";
import type { LengthSummary } from "../quality/length-histogram.js";
import type { NearDedupSummary } from "../quality/near-dedup.js";
import type { RecordFile } from "./hashed-file.js";
import type { BadRow, Contact } from "./job.js";
import type { SourceCounts } from "./ledger.js";
import type { SourceState } from "./source-state.js";

export interface Manifest {
  readonly format: 1;
  readonly mixture: string;
  readonly seed: number;
  readonly settings: Omit<Mixture, "sources">;
  readonly tokenizer?: { readonly folder: string; readonly fingerprint: string };
  readonly sources: readonly SourceManifest[];
  readonly totals: SourceCounts;
  readonly files: Readonly<Record<string, RecordFile>>;
  readonly nearDedup?: NearDedupSummary;
  /** Sources of the preset that were not there. */
  readonly missing: readonly { readonly source: string; readonly looked: string }[];
  /** Beside the published mixture of this name. */
  readonly released?: readonly ReleasedCount[];
  readonly made: { readonly at: string; readonly seconds: number; readonly threads: number };
}

export interface ReleasedCount {
  readonly source: string;
  readonly sampled: number;
  readonly written: number;
  readonly expected: { readonly sampled: number; readonly written: number };
  readonly equal: boolean;
}

export interface SourceFile {
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly blankLines?: number;
  /** The file ended early and the readable part was kept. */
  readonly damage?: string;
}

export interface SourceHead {
  readonly name: string;
  readonly format: string;
  readonly rule: string;
  readonly draws: readonly string[];
  readonly files: readonly SourceFile[];
  readonly notes: readonly string[];
}

export interface SourceManifest extends SourceHead, SourceCounts {
  readonly droppedReasons: Readonly<Record<string, number>>;
  readonly filterHits: Readonly<Record<string, number>>;
  /** Winning source -> duplicates of this source it made superfluous. */
  readonly lostTo: Readonly<Record<string, number>>;
  /** Benchmark -> records that hold texts of it. */
  readonly contacts: Readonly<Record<string, number>>;
  readonly languages: Readonly<Record<string, number>>;
  /** Of written records. */
  readonly lengths: SourceLengths;
  /** The first 200 each; `bad` and `contaminated` count all. */
  readonly badRows: readonly Omit<BadRow, "index">[];
  readonly contaminatedRows: readonly (Contact & { readonly id: string })[];
}

export interface SourceLengths {
  readonly chars?: LengthSummary;
  readonly turns?: LengthSummary;
  readonly tokenLengths?: LengthSummary;
  /** 200 evenly spread quantiles of tokens, or of characters where tokens were not counted: enough for a chart. */
  readonly unit: "tokens" | "characters";
  readonly quantiles: readonly number[];
}

export function sourceManifest(head: SourceHead, state: SourceState): SourceManifest {
  const { droppedReasons, filterHits, lostTo, contacts, languages, contaminated } = state;
  const [chars, turns, tokenLengths] = [state.chars.summary(), state.turns.summary(), state.tokens.summary()];
  const charted = tokenLengths === undefined ? state.chars : state.tokens;
  const many = Math.min(200, charted.count);
  const quantiles = Array.from({ length: many }, (_, i) => charted.quantile((i + 0.5) / many)!);
  const unit = tokenLengths === undefined ? "characters" : "tokens";
  return {
    ...head,
    ...state.counts,
    droppedReasons,
    filterHits,
    lostTo,
    contacts,
    languages,
    lengths: {
      ...(chars && { chars }),
      ...(turns && { turns }),
      ...(tokenLengths && { tokenLengths }),
      unit,
      quantiles,
    },
    badRows: state.badRows.map(({ code, message, where, fix }) => ({ code, message, where, fix })),
    contaminatedRows: contaminated,
  };
}

export function writeManifest(path: string, manifest: Manifest): void {
  writeFileAtomic(path, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** @throws {SettingsError} when there is no manifest of this format */
export function readManifest(path: string): Manifest {
  try {
    const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
    if (manifest.format === 1) return manifest;
  } catch (cause) {
    throw new SettingsError("ERR_MIX_MANIFEST", "the folder holds no mixture.", {
      where: path,
      fix: "give a folder that `camelid mix` wrote.",
      cause,
    });
  }
  throw new SettingsError("ERR_MIX_MANIFEST", "the manifest was written by another version.", {
    where: path,
    fix: "make that mixture again.",
  });
}
