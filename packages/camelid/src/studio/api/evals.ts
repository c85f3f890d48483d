/** Evaluations and their items. */
import type { EvalSummary } from "./catalog.js";

/** One evaluation: what each task came to. */
export interface EvalDetail {
  summary: EvalSummary;
  profile: string;
  seed: number;
  updated: string;
  averages: { seven?: number; eight?: number };
  contamination: { benchmark: string; rows: number }[];
  contaminationNote: string | null;
  tasks: EvalTask[];
}

export interface EvalTask {
  /** Key in metrics.json: the task, or `task@system` of a replay. */
  key: string;
  title: string;
  metric: string;
  unit: string;
  lowerIsBetter: boolean;
  score: number | null;
  interval: [number, number] | null;
  method: string | null;
  items: number;
  right: number;
  wrong: number;
  failed: number;
  skipped: number;
  truncated: number;
  extractionFailed: number;
  empty: number;
  promptTooLong: number;
  seconds: number;
  reasons: Record<string, number>;
  groups: { name: string; score: number; items: number }[];
  settings: Record<string, string>;
  notes: string[];
  upstream: { compared: number; agree: number } | null;
}

export interface PublishedScores {
  columns: { task: string; name: string; detail: string }[];
  tables: {
    number: number;
    title: string;
    rows: { model: string; scores: Record<string, number>; average: number | null }[];
  }[];
}

export interface ItemsReply {
  total: number;
  items: ListedItem[];
}

export interface ListedItem {
  /** Place in the predictions file. */
  index: number;
  id: string;
  group: string;
  verdict: string;
  prompt: string;
  output: string;
  extracted: string | null;
  target: string | null;
}

export interface ItemDetail {
  index: number;
  id: string;
  group: string | null;
  verdict: string;
  score: number | null;
  prompt: string | null;
  output: string;
  extracted: string | null;
  target: string | null;
  /** Truncated, nothing extracted, prompt too long, reason, note. */
  remarks: string[];
  values: Record<string, number>;
  /** Sandbox results and the like, as JSON. */
  details: string | null;
  rounds: { to: string; prompt: string | null; output: string }[];
}

/** Two evaluations over the same items of a task. */
export interface FlipsReply {
  task: string;
  both: number;
  /** Items that only one of them has. */
  onlyA: number;
  onlyB: number;
  bothRight: number;
  bothWrong: number;
  gained: number;
  lost: number;
  /** Mean item score of b less that of a, in points of 100, with a paired bootstrap interval. */
  difference: number;
  interval: [number, number];
  p: number;
  flips: { id: string; group: string; kind: "gained" | "lost"; prompt: string; a: FlipSide; b: FlipSide }[];
}

export interface FlipSide {
  index: number;
  output: string;
  extracted: string | null;
}
