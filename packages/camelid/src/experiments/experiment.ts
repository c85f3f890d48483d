/**
 * What an experiment is: stages, rows and columns, as plain data. The files in `recipes/experiments/` hold nothing else;
 * `plan.ts` turns them into runs, `results.ts` into a table.
 */

/**
 * A stage by name, or something given: `base`, `codeBase` (model folders), `pairs` (preference data), `sources` (raw files of the
 * mixtures). A file given for a mixture's name takes the mixture's place.
 */
export type Input = string;

/** A mixture of a paper, or some sources of it. */
export interface MixStage {
  readonly does: "mix";
  readonly preset: "tulu1" | "tulu2";
  /** Only these sources of it. */
  readonly only?: readonly string[];
}

/** Training with a recipe. */
export interface TrainStage {
  readonly does: "sft" | "dpo";
  readonly model: Input;
  readonly data: Input;
  /** A preset of the recipe without its size: `tulu2` is `tulu2-7b` at size 7b. */
  readonly preset: string;
  /** What differs from the preset. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export type Stage = MixStage | TrainStage;

/** A line of the table: a model, evaluated. */
export interface Row {
  readonly name: string;
  readonly model: Input;
  /** Base models are asked without a chat template. Default: through it when the model has one. */
  readonly chat?: false;
  /** Tasks that make no sense for it. */
  readonly without?: readonly string[];
}

export interface Column {
  readonly task: string;
  /** As in the table's head; short, a terminal has 80 columns. */
  readonly name: string;
  /** What of the task: its score, a value of each item (`characters`), or the score of one group (`finnish`). */
  readonly of?: { readonly value: string } | { readonly group: string };
  /** Digits behind the point; 1. */
  readonly digits?: number;
  readonly unit?: "%";
  readonly lowerIsBetter?: boolean;
}

/** A row as the paper prints it; by column name. */
export interface PublishedLine {
  readonly name: string;
  readonly values: Readonly<Partial<Record<string, number>>>;
  readonly average?: number;
  readonly remark?: string;
}

export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** What is asked, in one sentence. */
  readonly asks: string;
  /** What the paper found, in one or two sentences. */
  readonly found: string;
  /** In an order in which each comes after what it needs. */
  readonly stages: Readonly<Record<string, Stage>>;
  readonly rows: readonly Row[];
  readonly columns: readonly Column[];
  /** The paper's mean over seven or eight columns; none for other tables. */
  readonly average?: "seven" | "eight";
  /** Pairs of rows whose difference is the point: second less first. */
  readonly compare: readonly (readonly [first: string, second: string])[];
  /** Where the paper prints its own numbers, and those numbers. */
  readonly published: {
    readonly table: string;
    readonly lines: readonly PublishedLine[];
    /** Differences that the paper prints as such. */
    readonly differences?: readonly PublishedLine[];
  };
}

/** Tasks in the order of the columns, each once. */
export function tasksOf({ columns }: Pick<Experiment, "columns">): string[] {
  return [...new Set(columns.map(({ task }) => task))];
}
