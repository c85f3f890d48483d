import { z } from "zod";
import { DataError } from "../errors.js";

export type Role = "system" | "user" | "assistant";

export interface Message {
  role: Role;
  content: string;
}

/** The unified record: one JSON object a line, keys `dataset`, `id`, `messages`. Contents are stored untrimmed. */
export interface Conversation {
  dataset: string;
  /** Not unique in general: sources may repeat rows on purpose. */
  id: string;
  messages: Message[];
}

/** Where a row came from, for messages that lead a reader to it. */
export interface RowOrigin {
  readonly file: string;
  /** 1-based line of a JSONL file, or 1-based item of a JSON array. */
  readonly line: number;
  readonly unit: "line" | "item";
}

/**
 * Messages reject unknown keys: a `weight`, `tool_calls` or `name` that was ignored would train something else than the
 * file says. Other keys of a row are metadata, except those that would change the text.
 */
const MessageSchema = z.strictObject({
  role: z.enum(["system", "user", "assistant"]),
  content: z.string().refine(isText, "holds half of a surrogate pair, which is not text"),
});

const RowSchema = z.object({
  dataset: z
    .string()
    .refine((name) => name !== "", "is empty")
    .optional(),
  id: z.union([z.string(), z.number().transform(String)]).optional(),
  messages: z.array(MessageSchema),
  tools: z.null({ error: "tool definitions are not supported" }).optional(),
  functions: z.null({ error: "function definitions are not supported" }).optional(),
});

export interface RowDefaults {
  dataset: string;
  id: string;
}

/**
 * Checks one parsed row and fills in `dataset` and `id` where the file has none.
 * @throws {DataError} ERR_ROW_SHAPE, ERR_CHAT_EMPTY, ERR_CHAT_ROLE_ORDER, each with file, line and field
 */
export function parseConversation(row: unknown, origin: RowOrigin, defaults: RowDefaults): Conversation {
  const parsed = RowSchema.safeParse(row);
  if (!parsed.success) throw shapeError(parsed.error, row, origin);
  const { dataset = defaults.dataset, id = defaults.id, messages } = parsed.data;
  checkRoleOrder(messages, describeOrigin(origin));
  return { dataset, id, messages };
}

/**
 * An optional system message, then user and assistant in turn, beginning with the user.
 * @throws {DataError} ERR_CHAT_EMPTY, ERR_CHAT_ROLE_ORDER
 */
export function checkRoleOrder(messages: readonly Message[], where: string, fix = SKIP_FIX): void {
  if (messages.length === 0) {
    throw new DataError("ERR_CHAT_EMPTY", "the conversation has no messages.", {
      where: `${where}, field messages`,
      fix,
    });
  }
  const firstTurn = messages[0]!.role === "system" ? 1 : 0;
  for (const [index, { role }] of messages.entries()) {
    if (index < firstTurn) continue;
    const expected = (index - firstTurn) % 2 === 0 ? "user" : "assistant";
    if (role === expected) continue;
    throw new DataError("ERR_CHAT_ROLE_ORDER", roleProblem(role, index, messages), {
      where: `${where}, field messages[${index}].role`,
      fix: `expected role "${expected}" here; ${fix}`,
    });
  }
}

/** Without halves of surrogate pairs, which JSON can hold as `\ud800` and UTF-8 cannot. */
export function isText(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

const LONE_SURROGATE = /\p{Cs}/u;

/** `pairs.jsonl line 1204` */
export function describeOrigin(origin: RowOrigin): string {
  return `${origin.file} ${origin.unit} ${origin.line}`;
}

export const SKIP_FIX = "correct the row, or leave such rows out with `--on-bad skip`.";

function roleProblem(role: Role, index: number, messages: readonly Message[]): string {
  if (index === 0) return `the conversation starts with role "${role}".`;
  if (role === "system") return "a system message stands inside the conversation; it may only come first.";
  return `role "${role}" follows role "${messages[index - 1]!.role}".`;
}

function shapeError(error: z.ZodError, row: unknown, origin: RowOrigin): DataError {
  const issues = error.issues.map((issue) => `${fieldPath(issue.path)}: ${issue.message}`);
  const first = error.issues[0]!.path;
  const hasMessages = typeof row === "object" && row !== null && "messages" in row;
  const other = hasMessages ? "" : "; `camelid mix` makes such rows of other formats";
  return new DataError("ERR_ROW_SHAPE", `the row is not a conversation. ${issues.slice(0, 5).join("; ")}.`, {
    where: `${describeOrigin(origin)}, field ${fieldPath(first)}`,
    fix: `a row looks like {"messages": [{"role": "user", "content": "..."}, ...]}${other}; this one is ${excerpt(row)}`,
  });
}

function fieldPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "(the row)";
  return path
    .map((key, index) => (typeof key === "number" ? `[${key}]` : `${index > 0 ? "." : ""}${String(key)}`))
    .join("");
}

function excerpt(row: unknown): string {
  const text = JSON.stringify(row) ?? String(row);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
