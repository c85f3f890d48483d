/** Mixtures and rows. */
import type { ApiError, RowKind } from "./common.js";

/** A row of any file: what it says and, with a tokenizer, what the trainer makes of it. */
export interface RowView {
  place: number;
  dataset: string;
  id: string;
  kind: RowKind;
  /** One for a conversation; `chosen` and `rejected` for a pair. */
  sides: RowSide[];
  /** Other keys of the row, as JSON. */
  extra: Record<string, string>;
  /** The row as it stands in the file. */
  raw: string;
  problem: ApiError["error"] | null;
  /** Of a mixture's row: the raw row it was made of. */
  origin?: string | null;
}

export interface RowSide {
  name: "conversation" | "chosen" | "rejected";
  messages: { role: string; content: string }[];
  tokens: TokenView | null;
}

/** Columns of equal length, one entry a token. */
export interface TokenView {
  ids: number[];
  texts: string[];
  /** Index into `roles`. */
  role: number[];
  /** 1 where the token carries loss. */
  trained: number[];
  special: number[];
  /** Index into `reasons`. */
  reason: number[];
  roles: string[];
  reasons: string[];
  trainedTokens: number;
  tokensCut: number;
  answersLost: number;
}

/** The books of a mixture, from its manifest. */
export interface MixDetail {
  id: string;
  name: string;
  kind: RowKind;
  madeAt: string;
  seconds: number;
  seed: number;
  tokenizer: string | null;
  totals: Record<string, number>;
  sources: MixSource[];
  missing: string[];
  settings: { key: string; value: string }[];
  nearDuplicates: {
    removed: number;
    clusters: number;
    largest: number;
    pairs: { winner: string; loser: string; rows: number }[];
  } | null;
  files: { name: string; rows: number; bytes: number; sha256: string }[];
}

export interface MixSource {
  name: string;
  format: string;
  rule: string;
  draws: string[];
  /** Every count of the ledger: read, bad, filtered, deduplicated ... written, tokens, trainedTokens. */
  counts: Record<string, number>;
  droppedReasons: Record<string, number>;
  filterHits: Record<string, number>;
  lostTo: Record<string, number>;
  contacts: Record<string, number>;
  languages: Record<string, number>;
  unit: "tokens" | "characters";
  /** Evenly spread quantiles of length. */
  quantiles: number[];
  badRows: { code: string; message: string; where: string }[];
  contaminatedRows: { id: string; benchmark: string; item: string; text: string }[];
}

/** What a table of rows can be asked for; `null` counts are not known yet. */
export interface RowsReply {
  state: IndexState;
  /** Rows that match. */
  total: number | null;
  offset: number;
  rows: ListedRow[];
  /** Only while the table is being made or a search still counts. */
  partial: boolean;
  ms: number;
}

export interface ListedRow {
  place: number;
  dataset: string;
  id: string;
  preview: string;
  turns: number | null;
  chars: number | null;
}

/** Rows of a file are put into a table of the embedded database once, and kept. */
export type IndexState =
  | { kind: "ready"; rows: number }
  | { kind: "reading"; share: number }
  | { kind: "failed"; message: string };

export interface RowsOverview {
  state: IndexState;
  kind: RowKind;
  datasets: { name: string; rows: number; chars: number; turns: number }[];
  /** Lengths in characters: edges of bins on a log scale and rows in each. */
  lengths: { edges: number[]; rows: number[] } | null;
  tables: { name: string; columns: { name: string; type: string }[]; rows: number }[];
}

export interface SqlReply {
  columns: { name: string; type: string }[];
  rows: (string | number | boolean | null)[][];
  /** More rows than are shown. */
  more: boolean;
  ms: number;
}
