/** What a reward model is to judge: a file of preference pairs, or of conversations that end with an answer. */
import { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { TokenRow } from "./collate.js";
import { describeOrigin, type RowOrigin, SKIP_FIX } from "./conversation.js";
import { type PairRow, type PairRowsOptions, readPairRows } from "./pair-rows.js";
import { holdsPairs } from "./pair-sides.js";
import { readConversations, readRows } from "./read-conversations.js";
import { renderConversations } from "./render.js";

interface Marked {
  /** The part of a benchmark that a row says it belongs to, in its field `subset`. */
  readonly subset: string | undefined;
}

export type PairToScore = PairRow & Marked;
export type AnswerToScore = TokenRow & Marked;

/** In the order of the file; what was left out comes with its reason. */
export type RowsToScore = { skipped: DataError[] } & (
  | { kind: "pairs"; rows: PairToScore[] }
  | { kind: "answers"; rows: AnswerToScore[] }
);

export interface ScoreRowsOptions extends PairRowsOptions {
  /** A text's score is read at its end, so that a longer one is not cut but cannot be judged. */
  maxSeqLen: number;
}

/**
 * The first row says which of both a file holds.
 * @throws {DataError} as `readPairRows` and `readConversations`; `ERR_NO_ANSWER` when a conversation ends with a question,
 *   `ERR_TOO_LONG`, `ERR_NO_ROWS`
 */
export async function readRowsToScore(
  file: string,
  tokenizer: Tokenizer,
  { maxSeqLen, ...options }: ScoreRowsOptions,
): Promise<RowsToScore> {
  const marks = await readMarks(file);
  const lost: DataError[] = [];
  const fits = (line: number, ...texts: readonly TokenRow[]): boolean => {
    const longest = Math.max(...texts.map(({ inputIds }) => inputIds.length));
    if (longest <= maxSeqLen) return true;
    const error = tooLong(longest, maxSeqLen, marks.get(line)!.origin);
    if (options.onBad === "error") throw error;
    lost.push(error);
    return false;
  };
  if (await holdsPairs(file)) {
    const { pairs, skipped } = await readPairRows(file, tokenizer, options);
    const rows = pairs
      .filter(({ place, chosen, rejected }) => fits(place + 1, chosen, rejected))
      .map((pair) => ({ ...pair, subset: marks.get(pair.place + 1)!.subset }));
    return checkSome(file, { kind: "pairs", rows, skipped: [...skipped, ...lost] });
  }
  const { rows: read, skipped } = await readConversations(file, { ...options, requireAssistant: true });
  const answered = read.filter(({ messages, origin }) => {
    const last = messages.at(-1)!;
    if (last.role === "assistant" && last.content.trim() !== "") return true;
    if (options.onBad === "error") throw noAnswer(origin);
    lost.push(noAnswer(origin));
    return false;
  });
  const rendered = await renderConversations(answered, tokenizer, options);
  const rows = rendered.flatMap((row, i) => {
    const { line } = answered[i]!.origin;
    return fits(line, row) ? [{ ...row, subset: marks.get(line)!.subset }] : [];
  });
  return checkSome(file, { kind: "answers", rows, skipped: [...skipped, ...lost] });
}

/** What readers of rows do not keep, by line. A row that is no JSON is left to them. */
async function readMarks(file: string): Promise<Map<number, Marked & { origin: RowOrigin }>> {
  const marks = new Map<number, Marked & { origin: RowOrigin }>();
  for await (const { origin, parse } of readRows(file)) {
    let subset: unknown;
    try {
      subset = (parse() as { subset?: unknown } | null)?.subset;
    } catch {
      // Told by the reader of the rows.
    }
    marks.set(origin.line, { origin, subset: typeof subset === "string" ? subset : undefined });
  }
  return marks;
}

function checkSome(file: string, found: RowsToScore): RowsToScore {
  if (found.rows.length > 0) return found;
  throw new DataError("ERR_NO_ROWS", "no row of the file can be judged.", {
    where: file,
    fix: `the first problem is: ${found.skipped[0]?.format() ?? "the file is empty."}`,
  });
}

function tooLong(tokens: number, limit: number, origin: RowOrigin): DataError {
  return new DataError("ERR_TOO_LONG", `${tokens} tokens; at most ${limit} can be judged.`, {
    where: describeOrigin(origin),
    fix: "raise maxSeqLen up to what the model was made for, or leave such rows out with `--on-bad skip`.",
  });
}

function noAnswer(origin: RowOrigin): DataError {
  return new DataError("ERR_NO_ANSWER", "the conversation does not end with an answer to judge.", {
    where: `${describeOrigin(origin)}, field messages`,
    fix: SKIP_FIX,
  });
}
