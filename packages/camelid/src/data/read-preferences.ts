/** Preference data in any published shape -> pairs of conversations with one prompt. */
import { CamelidError, DataError } from "../errors.js";
import { checkRoleOrder, describeOrigin, type RowOrigin, SKIP_FIX } from "./conversation.js";
import type { PairFault, PreferencePair } from "./preference.js";
import { fileStem, readRows } from "./read-conversations.js";
import { parseRow } from "./sources/source.js";
import { detectFormat } from "./sources/user-formats.js";

/** A pair that knows its place in the file. */
export interface PreferenceRow extends PreferencePair {
  readonly origin: RowOrigin;
}

export interface ReadPreferences {
  rows: PreferenceRow[];
  /** One error per row left out, in file order; always empty with `onBad: "error"`. */
  skipped: DataError[];
}

/**
 * Reads JSON lines or one JSON array, plain or `.gz`. Each row's columns say its shape: `chosen` and `rejected` as message
 * lists or as answers to `prompt`, as whole `Human:` / `Assistant:` transcripts, or as one turn each after `conversations`.
 * @throws {DataError} with the line: `ERR_PAIR_IDENTICAL`, `ERR_PAIR_PROMPT`, `ERR_PAIR_EMPTY`, `ERR_PAIR_NO_ANSWER`,
 *   `ERR_CHAT_ROLE_ORDER`, `ERR_DATA_ROW_SHAPE`, `ERR_DATA_COLUMNS`, `ERR_JSON`; `ERR_NO_ROWS`
 */
export async function readPreferences(
  file: string,
  { onBad = "error" }: { onBad?: "error" | "skip" } = {},
): Promise<ReadPreferences> {
  const rows: PreferenceRow[] = [];
  const skipped: DataError[] = [];
  const stem = fileStem(file);
  let index = 0;
  for await (const { origin, parse } of readRows(file)) {
    try {
      rows.push({ ...parsePreference(parse(), origin, stem, index), origin });
    } catch (error) {
      if (onBad === "error" || !(error instanceof DataError)) throw error;
      skipped.push(error);
    }
    index++;
  }
  if (rows.length === 0) {
    throw new DataError("ERR_NO_ROWS", `none of the ${index} rows is a usable pair.`, {
      where: file,
      fix:
        skipped[0] === undefined ? "give a file with pairs." : `the first problem is: ${skipped[0].message}`,
    });
  }
  return { rows, skipped };
}

/**
 * One row of a file of preferences. @param stem names a row without `dataset`; `row` counts from 0
 * @throws {DataError} as {@link readPreferences}
 */
export function parsePreference(
  value: unknown,
  origin: RowOrigin,
  stem: string,
  row: number,
): PreferencePair {
  const where = describeOrigin(origin);
  const dataset = (value as { dataset?: unknown } | null)?.dataset;
  const { conversations, dropped } = atRow(where, () => {
    const { source } = detectFormat(value);
    return source.convert(parseRow(source, value), {
      ...{ stem, row, position: row, draw: 0, tokenCounts: [], options: {} },
      dataset: typeof dataset === "string" ? dataset : stem,
    });
  });
  const fault = Object.keys(dropped ?? {})[0];
  if (fault !== undefined) throw faultError(fault as PairFault, where);
  const record = conversations[0];
  if (record?.pair === undefined) {
    throw new DataError("ERR_DATA_COLUMNS", "the row is a conversation, not a pair.", {
      where,
      fix: 'a pair has "chosen" and "rejected"; conversations are for `camelid sft`.',
    });
  }
  const { chosen, rejected } = record.pair;
  checkRoleOrder(chosen, `${where}, field chosen`);
  checkRoleOrder(rejected, `${where}, field rejected`);
  return { dataset: record.dataset, id: record.id, chosen, rejected };
}

const FAULTS: Readonly<Record<PairFault, readonly [code: string, message: string]>> = {
  "chosen equals rejected": ["ERR_PAIR_IDENTICAL", "chosen and rejected are the same."],
  "the sides have different prompts": [
    "ERR_PAIR_PROMPT",
    "chosen and rejected differ before their last answer; a pair shares its prompt.",
  ],
  "a side is empty": ["ERR_PAIR_EMPTY", "chosen or rejected has no answer, or no prompt."],
  "a side does not end with an answer": [
    "ERR_PAIR_NO_ANSWER",
    "chosen or rejected does not end with the assistant's message.",
  ],
};

function faultError(fault: PairFault, where: string): DataError {
  const [code, message] = FAULTS[fault];
  return new DataError(code, message, { where, fix: SKIP_FIX });
}

/** Rules of sources know the field; the row is known here. */
export function atRow<T>(row: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof CamelidError)) throw error;
    throw new DataError(error.code, error.message, {
      where: error.where === undefined ? row : `${row}, ${error.where}`,
      fix: error.fix ?? SKIP_FIX,
      cause: error,
    });
  }
}
