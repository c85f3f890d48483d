/**
 * A mixture as a value: the visible list of sources with what is drawn from each, and the switches that clean it.
 * From TypeScript it is written as such; JSON and YAML files pass through the same schema (mix/mixture-file.ts).
 */

import type { Normalization } from "./quality/content-hash.js";
import type { ConversationKey } from "./quality/conversation-key.js";
import type { DecontaminationOptions } from "./quality/decontaminate.js";
import type { KeywordFilterOptions } from "./quality/keyword-filter.js";
import type { NearDedupOptions } from "./quality/near-dedup.js";
import type { SourceOptions } from "./sources/source.js";

export interface Mixture {
  readonly name: string;
  readonly seed: number;
  readonly sources: readonly MixtureSource[];
  /**
   * `python-stream`: one `random.seed(seed)` stream for all sources in order, as the original converter draws.
   * `per-source`: each source has its own stream, so adding or removing one leaves the others' rows alone.
   */
  readonly randomness: "python-stream" | "per-source";
  /** `python`: the bytes of `json.dumps` (spaces, ASCII); `compact`: UTF-8 without spaces. */
  readonly json: "python" | "compact";
  readonly filter?: KeywordFilterOptions;
  readonly dedup?: DedupSettings;
  readonly decontaminate?: DecontaminationSettings;
  readonly heldOut?: HeldOutSettings;
  /** Guess the language of each row, for the statistics. */
  readonly languages?: boolean;
  /** For sources with a `weight`: the size the weights divide. */
  readonly total?: { readonly rows: number } | { readonly trainedTokens: number };
}

export interface MixtureSource {
  /** The `dataset` of its rows; the key of counts, curves and reports. */
  readonly name: string;
  /** The rule for a row (sources/registry.ts), or `auto`: told from the first row's columns. */
  readonly format: string;
  readonly options?: SourceOptions;
  /** Read one after the other; each has its own draw. */
  readonly parts: readonly MixturePart[];
  /** Whole source written this many times (hard-coded rows: 10). */
  readonly repeat?: number;
  /** Not looked at by the keyword filter, deduplication and decontamination. */
  readonly exempt?: boolean;
  readonly quota?: Quota;
  /** Said in the manifest and the report: stand-in files, rows that were not enough. */
  readonly notes?: readonly string[];
}

export interface MixturePart {
  /** Read as one list of rows. */
  readonly files: readonly string[];
  readonly draw: Draw;
}

/** Which rows of a part, in which order, by the part's random stream. */
export type Draw =
  | { readonly kind: "all" }
  /** `random.sample(rows, k)`: order of the draw. All rows in file order when there are no more than k. */
  | { readonly kind: "sample"; readonly rows: number; readonly strict?: boolean }
  /** `random.shuffle(rows)`, then the first k. */
  | { readonly kind: "shuffle"; readonly rows: number }
  /** `random.sample(range(n), k)` by a stream of its own, kept in file order (FLAN resampling). */
  | {
      readonly kind: "sample-in-file-order";
      readonly rows: number;
      readonly group: string;
      readonly seed: number;
    }
  /** A random order of all rows, taken until the source's quota is full. */
  | { readonly kind: "until-quota" };

/** Counted over rows that pass every filter. A quota above what there is needs `upsample`. */
export type Quota =
  | { readonly by: "rows"; readonly rows: number; readonly upsample?: boolean }
  | { readonly by: "trained-tokens"; readonly tokens: number; readonly upsample?: boolean }
  /** Share of `total` among the sources with a weight; repeats rows where there are too few. */
  | { readonly by: "weight"; readonly weight: number };

export interface DedupSettings {
  /** Same content after normalisation: the row whose source stands first in the mixture stays. */
  readonly exact?: { readonly normalization?: Normalization; readonly key?: ConversationKey };
  /** Similar content by MinHash; rows are held back until all are read. */
  readonly near?: Omit<NearDedupOptions, "priority" | "exempt">;
}

export interface DecontaminationSettings extends DecontaminationOptions {
  /** Folder with the published evaluation sets, one folder each (quality/benchmark-texts.ts), and which of them. */
  readonly benchmarks?: { readonly folder: string; readonly names?: readonly string[] };
  /** Other evaluation files: every string of a row counts as text of the benchmark. */
  readonly files?: readonly { readonly name: string; readonly files: readonly string[] }[];
  /** `remove` takes contaminated rows out, `report` only lists them. */
  readonly action: "remove" | "report";
}

/**
 * Rows with the same first user message, after normalisation, stay on one side; so do the clusters of near-duplicates
 * when `dedup.near` is on.
 */
export interface HeldOutSettings {
  readonly fraction: number;
}
