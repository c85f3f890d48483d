/** A row for the eye: its messages, and the tokens and labels the trainer makes of them. */

import { parseConversation } from "../../data/conversation.js";
import { inspectRow, labelReason } from "../../data/inspect.js";
import { pairSides } from "../../data/pair-rows.js";
import { parsePreference } from "../../data/read-preferences.js";
import { type RenderedRow, type RenderOptions, renderConversations } from "../../data/render.js";
import { SEGMENT_ROLES } from "../../data/tokenize-segments.js";
import { DataError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { RowKind, RowSide, RowView, TokenView } from "../api.js";
import { errorBody } from "../failures.js";

export interface RowPlace {
  readonly file: string;
  readonly stem: string;
  readonly place: number;
}

/** Never throws over what the row holds: a row that cannot be used is shown with the reason. */
export async function rowView(
  text: string,
  at: RowPlace,
  tokenizer: Tokenizer | undefined,
  options: RenderOptions = {},
): Promise<RowView> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const problem = { code: "ERR_JSON", message: `this is not JSON: ${(cause as Error).message}.` };
    return { place: at.place, dataset: "", id: "", kind: "other", sides: [], extra: {}, raw: text, problem };
  }
  const record = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const { dataset, id, messages, chosen, rejected, ...rest } = record;
  const view: RowView = {
    place: at.place,
    dataset: typeof dataset === "string" ? dataset : at.stem,
    id: typeof id === "string" || typeof id === "number" ? String(id) : `${at.stem}_${at.place}`,
    kind: rowKind(record),
    sides: [],
    extra: Object.fromEntries(Object.entries(rest).map(([key, one]) => [key, JSON.stringify(one, null, 1)])),
    raw: text,
    problem: null,
  };
  try {
    view.sides = await sidesOf(value, view.kind, at, tokenizer, options);
  } catch (error) {
    view.problem = errorBody(error);
    view.sides = looseSides(record);
  }
  return view;
}

export function rowKind(record: Record<string, unknown>): RowKind {
  if ("chosen" in record && "rejected" in record) return "pairs";
  return Array.isArray(record.messages) ? "conversations" : "other";
}

/** The first words of a row, for a list. */
export function preview(record: Record<string, unknown>): string {
  const messages = (Array.isArray(record.messages) ? record.messages : record.chosen) as unknown;
  const first = Array.isArray(messages)
    ? (messages.find((one) => one?.role === "user") ?? messages[0])
    : undefined;
  const text =
    typeof first?.content === "string"
      ? first.content
      : typeof record.prompt === "string"
        ? record.prompt
        : JSON.stringify(record);
  return text.slice(0, 300).replace(/\s+/g, " ").trim();
}

async function sidesOf(
  value: unknown,
  kind: RowKind,
  at: RowPlace,
  tokenizer: Tokenizer | undefined,
  options: RenderOptions,
): Promise<RowSide[]> {
  const origin = { file: at.file, line: at.place + 1, unit: "line" as const };
  if (kind === "pairs") {
    const pair = { ...parsePreference(value, origin, at.stem, at.place), origin };
    const names = ["chosen", "rejected"] as const;
    if (tokenizer === undefined)
      return names.map((name) => ({ name, messages: [...pair[name]], tokens: null }));
    const sides = names.map((name) => ({ ...pair, messages: [...pair[name]] }));
    const whole = await renderConversations(sides, tokenizer, {
      ...options,
      maxSeqLen: Number.POSITIVE_INFINITY,
    });
    const joined = pairSides(pair, whole[0]!, whole[1]!);
    return names.map((name, i) => {
      const row = cut({ ...whole[i]!, labels: joined[name].labels as Int32Array }, options.maxSeqLen);
      return { name, messages: [...pair[name]], tokens: tokenView(row, tokenizer, true) };
    });
  }
  if (kind === "other") {
    throw new DataError("ERR_DATA_COLUMNS", "the row is neither a conversation nor a pair.", {
      fix: "a conversation has `messages`, a pair `chosen` and `rejected`.",
    });
  }
  const conversation = parseConversation(value, origin, { dataset: at.stem, id: `${at.stem}_${at.place}` });
  const [row] = tokenizer === undefined ? [] : await renderConversations([conversation], tokenizer, options);
  return [
    {
      name: "conversation",
      messages: conversation.messages,
      tokens: row === undefined ? null : tokenView(row, tokenizer!, false),
    },
  ];
}

function cut(row: RenderedRow, length = Number.POSITIVE_INFINITY): RenderedRow {
  if (row.inputIds.length <= length) return row;
  const labels = row.labels.slice(0, length);
  return {
    ...row,
    inputIds: row.inputIds.slice(0, length),
    labels,
    roles: row.roles.slice(0, length),
    tokensCut: row.inputIds.length - length,
    truncated: true,
  };
}

function tokenView(row: RenderedRow, tokenizer: Tokenizer, isPair: boolean): TokenView {
  const inspected = inspectRow(row, 1, tokenizer);
  const { tokens } = inspected;
  const reasons: string[] = [];
  const reason = tokens.map((token, i) => {
    const text = labelReason(token, i, isPair);
    const known = reasons.indexOf(text);
    return known >= 0 ? known : reasons.push(text) - 1;
  });
  return {
    ids: tokens.map(({ id }) => id),
    texts: tokens.map(({ text }) => text),
    role: tokens.map(({ role }) => SEGMENT_ROLES.indexOf(role)),
    trained: tokens.map(({ trained }) => Number(trained)),
    special: tokens.map(({ special }) => Number(special)),
    reason,
    roles: [...SEGMENT_ROLES],
    reasons,
    trainedTokens: tokens.reduce((sum, { trained }) => sum + Number(trained), 0),
    tokensCut: inspected.tokensCut,
    answersLost: inspected.answersLost,
  };
}

/** Whatever can be read of a row that the trainer refuses. */
function looseSides(record: Record<string, unknown>): RowSide[] {
  const messagesOf = (value: unknown) =>
    Array.isArray(value)
      ? value.map((one) => ({
          role: String(one?.role ?? one?.from ?? "?"),
          content: String(one?.content ?? one?.value ?? JSON.stringify(one)),
        }))
      : typeof value === "string"
        ? [{ role: "assistant", content: value }]
        : [];
  const names = [
    ["conversation", record.messages],
    ["chosen", record.chosen],
    ["rejected", record.rejected],
  ] as const;
  return names.flatMap(([name, value]) => {
    const messages = messagesOf(value);
    return messages.length === 0 ? [] : [{ name, messages, tokens: null }];
  });
}
