/**
 * What the Studio's server says to the browser, and nothing of how. `packages/studio` imports these types only, so that
 * both sides are checked against one description.
 */

/** JSON has no NaN: such numbers travel as these words. */
export type AnyNumber = number | "NaN" | "Infinity" | "-Infinity";

export interface ApiError {
  error: { code: string; message: string; where?: string; fix?: string };
}

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

export type RowKind = "conversations" | "pairs" | "other";

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

export interface Bucketed {
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

/** Asks a model for an answer; the reply is a stream of {@link AnswerPiece}, one JSON object a line. */
export interface AnswerRequest {
  model: string;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: number;
}

export type AnswerPiece =
  | { kind: "loading" }
  | { kind: "text"; text: string }
  | { kind: "done"; finishReason: string; tokens: number; ms: number; loadMs: number }
  | { kind: "error"; error: ApiError["error"] };

/** Two models answer one prompt; the stream says only which side speaks. */
export interface RoundRequest extends Omit<AnswerRequest, "model"> {
  models: [string, string];
}

export type RoundPiece = { kind: "round"; round: string } | (AnswerPiece & { side: "left" | "right" });

export type Choice = "left" | "right" | "tie" | "both-bad";

export interface VoteReply {
  left: string;
  right: string;
  vote: Vote;
}

/** One line of votes.jsonl. */
export interface Vote {
  id: string;
  time: string;
  messages: { role: string; content: string }[];
  a: { model: string; text: string; finishReason: string };
  b: { model: string; text: string; finishReason: string };
  /** Which of the two stood on the left. */
  left: "a" | "b";
  winner: "a" | "b" | "tie" | "both-bad";
  decoding: { maxNewTokens: number; temperature: number; topP: number; seed: number };
}

export interface VotesReply {
  votes: Vote[];
  pairings: Pairing[];
  /** Votes that make a pair: decided, and the answers differ. */
  pairs: number;
  notes: string[];
  file: string;
}

/** What was voted between two models. */
export interface Pairing {
  a: string;
  b: string;
  wins: number;
  losses: number;
  ties: number;
  bothBad: number;
  /** Share of decided votes that `a` won, with Wilson's 95 % interval; null without any. */
  rate: number | null;
  interval: [number, number] | null;
  /** The same after each decided vote. */
  course: { votes: number; rate: number; low: number; high: number }[];
}

export interface ExportReply {
  id: string;
  path: string;
  pairs: number;
  leftOut: { ties: number; same: number };
}

/** A recipe as a form: what the command line takes, from the same schema. */
export interface RecipeForm {
  name: string;
  resumable: boolean;
  presets: { name: string; values: Record<string, string> }[];
  groups: { name: string; knobs: FormKnob[] }[];
}

export interface FormKnob {
  key: string;
  flag: string;
  help: string;
  accepts: string;
  required: boolean;
  /** As it would be typed; null where there is none. */
  default: string | null;
  input: "text" | "number" | "boolean" | "choice";
  choices: string[];
  /** The key is one of a group that may be off as a whole: `lora`. */
  group: string | null;
}

/** Values as typed; keys left out keep what preset or default say. */
export interface LaunchRequest {
  recipe: string;
  preset: string | null;
  values: Record<string, string>;
  /** Id of a run to go on with; its settings are kept but for `values`. */
  resume: string | null;
}

export interface LaunchCheck {
  problems: { key: string | null; text: string; fix: string | null; missing: boolean }[];
  effective: { key: string; value: string; origin: string }[];
  /** The same on the command line. */
  command: string;
}

export interface LaunchState {
  id: string;
  command: string;
  out: string;
  /** Id of the run folder, once it is there. */
  run: string | null;
  running: boolean;
  exitCode: number | null;
  log: string;
}

/** What can be chosen in the form, with the paths that the command takes. */
export interface LaunchChoices {
  models: { id: string; path: string }[];
  data: { id: string; path: string; kind: RowKind }[];
  /** Where new runs are suggested. */
  out: string;
}

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
