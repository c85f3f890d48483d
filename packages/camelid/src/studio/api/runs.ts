/** A run: its page, its curves, its steps. */
import type { RunStatus, RunSummary } from "./catalog.js";
import type { AnyNumber } from "./common.js";

export interface RunDetail {
  summary: RunSummary;
  /** Flat, in the order of settings.json. */
  settings: { key: string; value: string; origin: string; isDefault: boolean }[];
  environment: Record<string, string | number | boolean>;
  notes: string[];
  warnings: { step: number | null; message: string; code: string }[];
  samples: { step: number; prompt: string; text: string; reference: string | null }[];
  checkpoints: { step: number; path: string; sizeBytes: number | null; time: string }[];
  resumes: { fromStep: number; time: string; changed: string[] }[];
  error: { code: string | null; message: string } | null;
  durationMs: number | null;
  trainedTokens: number;
  tokensPerSecond: number | null;
  /** Names of every series there is, in the order to show them. */
  series: SeriesName[];
  hasLineage: boolean;
  /** Whether this process may stop it, or could resume it. */
  canStop: boolean;
  canResume: boolean;
}

/** `loss`, `lr`, `grad_norm`, `tokens_per_second`, `source/NAME`, `eval/NAME`, or a metric such as `rewards/margins`. */
export interface SeriesName {
  key: string;
  count: number;
}

/** Series cut into buckets of steps of one width; one column per bucket, null where there is nothing. */
export interface SeriesReply {
  /** Changes whenever the run has grown. */
  version: string;
  status: RunStatus;
  /** Below 1 while a long run is still being read: the rest is on its way. */
  readShare: number;
  firstStep: number;
  lastStep: number;
  from: number;
  to: number;
  /** Steps in a bucket; 1 means every step. */
  width: number;
  /** The step in the middle of each bucket. */
  x: number[];
  series: Record<string, Bucketed>;
}

/** The smoothed lines of a {@link SeriesReply} of the same steps. */
export interface SmoothReply {
  version: string;
  series: Record<string, (number | null)[]>;
}

export interface Bucketed {
  /** Empty where `smooth`, `low` and `high` stand for it. */
  mean: (number | null)[];
  /** Only where buckets hold more than one step. */
  low?: (number | null)[];
  high?: (number | null)[];
  /** The step of the highest value of each bucket: where a click on a spike leads. */
  peak?: (number | null)[];
  /** Mean over the steps around, taken before bucketing. */
  smooth?: (number | null)[];
  /** Steps whose value is not a finite number; at most 50, and how many in all. */
  bad: { step: number; value: string }[];
  badCount: number;
}

export interface StepDetail {
  step: number;
  numbers: { name: string; value: AnyNumber }[];
  /** In the order they were trained. */
  rows: StepRow[];
  /** Why rows cannot be shown, or what to keep in mind. */
  notes: string[];
}

export interface StepRow {
  /** Line or item of the data file, from 0. */
  place: number;
  dataset: string;
  id: string;
  preview: string;
  trainedTokens: number | null;
  tokens: number | null;
}
