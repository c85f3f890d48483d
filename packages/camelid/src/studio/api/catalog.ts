/** What the folders hold, a line each. */
import type { AnyNumber, RowKind } from "./common.js";

/** What the folders hold. Ids are paths below the roots; only ids from here are answered. */
export interface Catalog {
  roots: { label: string; path: string }[];
  runs: RunSummary[];
  mixes: MixSummary[];
  evals: EvalSummary[];
  models: ModelSummary[];
  /** Row files that belong to no mixture. */
  files: FileSummary[];
  /** More folders than are looked at: sentences for people. */
  notes: string[];
}

/** `running`: a living process holds the run; `cut`: nobody does and it never ended. */
export type RunStatus =
  | "running"
  | "completed"
  | "interrupted"
  | "failed"
  | "cut"
  | "empty"
  | "newer"
  | "broken";

export interface RunSummary {
  id: string;
  recipe: string;
  status: RunStatus;
  step: number;
  totalSteps: number | null;
  loss: AnyNumber | null;
  startedAt: string | null;
  /** Of the last change, for order. */
  changedAt: string;
  model: string | null;
  data: string | null;
  /** A few losses from start to end; null where one was not a number. */
  sparkline: (number | null)[];
}

export interface MixSummary {
  id: string;
  name: string;
  rows: number;
  sources: number;
  madeAt: string | null;
  /** Pairs or conversations, by the first row. */
  kind: RowKind;
}

export interface FileSummary {
  id: string;
  kind: RowKind;
  sizeBytes: number;
  changedAt: string;
}

export interface EvalSummary {
  id: string;
  model: string;
  madeAt: string | null;
  tasks: {
    key: string;
    title: string;
    score: number | null;
    interval: [number, number] | null;
    unit: string;
    lowerIsBetter: boolean;
  }[];
}

export interface ModelSummary {
  id: string;
  kind: "model" | "adapter";
  /** Of an adapter: the model it was trained on. */
  base: string | null;
  /** The run whose `final` or checkpoint it is. */
  run: string | null;
  modelType: string | null;
}
