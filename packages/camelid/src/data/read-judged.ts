/** Files of answers that were each judged good or bad by themselves -> conversations with a judgement. */
import { DataError } from "../errors.js";
import { checkRoleOrder, describeOrigin, type Message, type RowOrigin, SKIP_FIX } from "./conversation.js";
import { fileStem, readRows } from "./read-conversations.js";
import { atRow, parsePreference } from "./read-preferences.js";
import { parseRow } from "./sources/source.js";
import { detectFormat } from "./sources/user-formats.js";

/** A conversation whose last answer was judged. */
export interface JudgedConversation {
  readonly dataset: string;
  readonly id: string;
  readonly messages: readonly Message[];
  readonly desirable: boolean;
  readonly origin: RowOrigin;
}

export interface ReadJudged {
  rows: JudgedConversation[];
  /** One error per row left out, in file order; always empty with `onBad: "error"`. */
  skipped: DataError[];
}

/**
 * Reads JSON lines or one JSON array, plain or `.gz`. A row is a conversation in any shape that `camelid sft` or `camelid mix`
 * knows (`messages`, `prompt` and `completion`, ...) with `label`: true for a desirable last answer, false for an undesirable
 * one. A preference pair, in any shape that `readPreferences` knows, is two rows: `<id> chosen` and `<id> rejected`.
 * @throws {DataError} with the line: `ERR_LABEL`, `ERR_PAIR_...` as `readPreferences`, `ERR_CHAT_NO_ANSWER`,
 *   `ERR_NO_TRAINED_TOKEN`, `ERR_ANSWER_EMPTY`, `ERR_CHAT_ROLE_ORDER`, `ERR_DATA_ROW_SHAPE`, `ERR_DATA_COLUMNS`, `ERR_JSON`; `ERR_NO_ROWS`
 */
export async function readJudged(
  file: string,
  { onBad = "error" }: { onBad?: "error" | "skip" } = {},
): Promise<ReadJudged> {
  const rows: JudgedConversation[] = [];
  const skipped: DataError[] = [];
  const stem = fileStem(file);
  let index = 0;
  for await (const { origin, parse } of readRows(file)) {
    try {
      const value = parse();
      rows.push(
        ...(isPair(value) ? split(value, origin, stem, index) : [single(value, origin, stem, index)]),
      );
    } catch (error) {
      if (onBad === "error" || !(error instanceof DataError)) throw error;
      skipped.push(error);
    }
    index++;
  }
  if (rows.length > 0) return { rows, skipped };
  throw new DataError("ERR_NO_ROWS", `none of the ${index} rows is a judged answer or a pair.`, {
    where: file,
    fix: skipped[0] === undefined ? "give a file with rows." : `the first problem is: ${skipped[0].message}`,
  });
}

function isPair(value: unknown): boolean {
  return typeof value === "object" && value !== null && "chosen" in value && "rejected" in value;
}

function split(value: unknown, origin: RowOrigin, stem: string, row: number): JudgedConversation[] {
  const { dataset, id, chosen, rejected } = parsePreference(value, origin, stem, row);
  return [
    { dataset, id: `${id} chosen`, messages: chosen, desirable: true, origin },
    { dataset, id: `${id} rejected`, messages: rejected, desirable: false, origin },
  ];
}

function single(value: unknown, origin: RowOrigin, stem: string, row: number): JudgedConversation {
  const where = describeOrigin(origin);
  const { label, dataset, ...rest } = (value ?? {}) as { label?: unknown; dataset?: unknown };
  if (typeof label !== "boolean") {
    throw new DataError("ERR_LABEL", `the row's label is ${JSON.stringify(label) ?? "missing"}.`, {
      where: `${where}, field label`,
      fix: 'give {"messages": [...], "label": true} for an answer to like, false for one to dislike; or pairs with "chosen" and "rejected".',
    });
  }
  const { conversations } = atRow(where, () => {
    const { source } = detectFormat(rest);
    return source.convert(parseRow(source, rest), {
      ...{ stem, row, position: row, draw: 0, tokenCounts: [], options: {} },
      dataset: typeof dataset === "string" ? dataset : stem,
    });
  });
  const conversation = conversations[0];
  if (conversation?.messages.at(-1)?.role !== "assistant") {
    throw new DataError("ERR_NO_TRAINED_TOKEN", "the row does not end with the assistant's answer.", {
      where,
      fix: SKIP_FIX,
    });
  }
  checkRoleOrder(conversation.messages, where);
  if (conversation.messages.at(-1)!.content.trim() === "") {
    throw new DataError("ERR_ANSWER_EMPTY", "the answer that is judged is empty.", {
      where,
      fix: SKIP_FIX,
    });
  }
  const { id, messages } = conversation;
  return { dataset: conversation.dataset, id, messages, desirable: label, origin };
}
