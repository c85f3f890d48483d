/**
 * A source is the rule that turns one raw row of one published data set into conversations.
 *
 * A rule is a pure function of (row, context): no files, no random stream, no counters. The mixer reads rows,
 * draws numbers and counts; that is what lets rows be converted in any order, on any thread, with one result.
 */
import type { z } from "zod";
import { DataError } from "../../errors.js";
import type { Conversation, Message } from "../conversation.js";
import type { MixRecord } from "../preference.js";

export interface Source<Row = unknown> {
  /** The `dataset` of its rows and the name used in mixtures. */
  readonly name: string;
  /** One sentence for docs and reports: what the original does with a row. */
  readonly rule: string;
  /** What a raw row must have; other keys are ignored. */
  readonly row: z.ZodType<Row>;
  /** The rule consumes one `random()` draw a row (weighted prompt templates). */
  readonly drawsPerRow?: boolean;
  /** `position` counts the conversations made so far instead of the rows drawn so far. */
  readonly runningIds?: boolean;
  /** Texts whose token counts the rule needs; asking for any makes a tokenizer necessary. */
  textsToCount?(row: Row): readonly string[];
  convert(row: Row, context: ConvertContext): Conversion;
}

export interface ConvertContext {
  /** `dataset` of the conversations made; sources with one fixed tag ignore it. */
  readonly dataset: string;
  /** Place of the row in the order of the sample, from 0 (but see `runningIds`): what most ids are made of. */
  readonly position: number;
  /** Row in its file, from 0. */
  readonly row: number;
  /** File name without folder and endings: users' rows without an id are numbered with it. */
  readonly stem: string;
  /** In [0, 1), set when the source has `drawsPerRow`. */
  readonly draw: number;
  /** One count per text of `textsToCount`, each with the tokenizer's beginning-of-text token. */
  readonly tokenCounts: readonly number[];
  readonly options: SourceOptions;
}

/** What a mixture may vary; each source reads the ones that mean something to it. */
export interface SourceOptions {
  /** ShareGPT: the longest piece in tokens (4096 in Tülu 2, 2048 in Tülu 1). */
  readonly maxTokens?: number;
  /** OASST: how many replies are followed at each node; all when absent (Tülu 1), 1 in Tülu 2. */
  readonly topReplies?: number;
  /** General formats: which of the row's columns holds what. */
  readonly columns?: Readonly<Record<string, string>>;
}

export interface Conversion {
  readonly conversations: readonly MixRecord[];
  /** Per conversation: what was done to it besides the source's one rule ("template 3", "turns 4-9"). */
  readonly steps?: readonly string[];
  /** Why the row, or parts of it, became nothing: reason -> how many parts. */
  readonly dropped?: Readonly<Record<string, number>>;
}

/** Keeps `Row` inferred from the schema. */
export function defineSource<Row>(source: Source<Row>): Source {
  return source as unknown as Source;
}

/** Validates one raw row. @throws {DataError} naming field, expectation and the columns found */
export function parseRow<Row>(source: Source<Row>, value: unknown): Row {
  const result = source.row.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = issue.path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "");
  const found =
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? `the row has ${listed(Object.keys(value))}`
      : `the row is ${Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`}`;
  throw new DataError(
    "ERR_DATA_ROW_SHAPE",
    `${source.name}: ${field ? `field ${field}: ` : ""}${issue.message}; ${found}.`,
    {
      where: field ? `field ${field}` : "the row",
      fix: "check that the file belongs to this source, or leave such rows out with --on-bad skip.",
    },
  );
}

export const user = (content: string): Message => ({ role: "user", content });
export const assistant = (content: string): Message => ({ role: "assistant", content });
export const system = (content: string): Message => ({ role: "system", content });

export function oneConversation(conversation: Conversation, step?: string): Conversion {
  return step === undefined
    ? { conversations: [conversation] }
    : { conversations: [conversation], steps: [step] };
}

export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12).map((name) => `"${name}"`);
  return names.length === 0 ? "no columns" : `${shown.join(", ")}${names.length > 12 ? ", ..." : ""}`;
}
