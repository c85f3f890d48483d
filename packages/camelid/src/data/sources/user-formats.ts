/**
 * Formats people bring that belong to no published set: ShareGPT-style, Alpaca-style, prompt/completion.
 * `columns` in the mixture maps other names onto the ones below; without it the columns themselves decide.
 */
import { z } from "zod";
import { DataError } from "../../errors.js";
import { chatMessage, checkOrder, messages, toMessage } from "./messages.js";
import { hhRlhf, sharegptPairs, ultrafeedback } from "./preferences.js";
import { renderInstruction } from "./prompt-templates.js";
import {
  assistant,
  type ConvertContext,
  defineSource,
  listed,
  oneConversation,
  type Source,
  user,
} from "./source.js";

const optionalId = { id: z.union([z.string(), z.number()]).nullish() };
const idOf = (id: string | number | null | undefined, { stem, row }: ConvertContext) =>
  id == null ? `${stem}_${row}` : String(id);

export const sharegptStyle = defineSource({
  name: "sharegpt-style",
  rule: "conversations of from and value; senders become roles, nothing is split",
  row: z.object({
    ...optionalId,
    conversations: z.array(z.object({ from: z.string(), value: z.string() })).min(1),
  }),
  convert({ id, conversations }, context) {
    const turns = conversations.map((turn, i) => toMessage(turn.from, turn.value, `conversations[${i}]`));
    checkOrder(turns, "conversations");
    return oneConversation({ dataset: context.dataset, id: idOf(id, context), messages: turns });
  },
});

export const alpacaStyle = defineSource({
  name: "alpaca-style",
  rule: "instruction, a blank line and input become the user turn, output the answer",
  row: z.object({ ...optionalId, instruction: z.string(), input: z.string().nullish(), output: z.string() }),
  convert({ id, instruction, input, output }, context) {
    // Template 1 is the original's own choice where no random template is asked for.
    const { prompt, completion } = renderInstruction(instruction, input, output, 0);
    const turns = [user(prompt.trimEnd()), assistant(completion)];
    return oneConversation({ dataset: context.dataset, id: idOf(id, context), messages: turns });
  },
});

export const promptCompletion = defineSource({
  name: "prompt-completion",
  rule: "prompt becomes the user turn, completion the answer; both may be message lists",
  row: z.object({
    ...optionalId,
    prompt: z.union([z.string(), z.array(chatMessage)]),
    completion: z.union([z.string(), z.array(chatMessage)]),
  }),
  convert({ id, prompt, completion }, context) {
    const before =
      typeof prompt === "string"
        ? [user(prompt)]
        : prompt.map((m, i) => toMessage(m.role, m.content, `prompt[${i}]`));
    const after =
      typeof completion === "string"
        ? [assistant(completion)]
        : completion.map((m, i) => toMessage(m.role, m.content, `completion[${i}]`));
    const turns = [...before, ...after];
    checkOrder(turns, "prompt and completion");
    return oneConversation({ dataset: context.dataset, id: idOf(id, context), messages: turns });
  },
});

/** Column names that mean the same thing, tried in order when a mixture names no `columns`. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  prompt: ["prompt", "question", "query", "input", "instruction"],
  completion: ["completion", "response", "answer", "output", "target"],
};

/**
 * The format of a user's file, from its columns.
 * @throws {DataError} listing the columns found and the mapping that would help
 */
export function detectFormat(
  row: unknown,
  columns?: Readonly<Record<string, string>>,
): { source: Source; columns?: Readonly<Record<string, string>> } {
  const found = typeof row === "object" && row !== null && !Array.isArray(row) ? Object.keys(row) : [];
  found.push(...Object.keys(columns ?? {}));
  const has = (...names: string[]) => names.every((name) => found.includes(name));
  if (has("chosen", "rejected")) {
    const text = (row as { chosen: unknown }).chosen;
    if (has("conversations")) return { source: sharegptPairs };
    const isTranscript = typeof text === "string" && !has("prompt") && /^\s*Human: /.test(text);
    return { source: isTranscript ? hhRlhf : ultrafeedback };
  }
  if (has("messages")) return { source: messages };
  if (has("conversations")) return { source: sharegptStyle };
  if (has("instruction", "output")) return { source: alpacaStyle };
  if (has("prompt", "completion")) return { source: promptCompletion };
  const prompt = SYNONYMS.prompt!.find((name) => found.includes(name));
  const completion = SYNONYMS.completion!.find((name) => found.includes(name));
  if (prompt !== undefined && completion !== undefined)
    return { source: promptCompletion, columns: { prompt, completion } };
  throw new DataError("ERR_DATA_COLUMNS", `no known format has these columns: ${listed(found)}.`, {
    fix: 'name them in the mixture, for example columns: { prompt: "question_text", completion: "best_answer" }.',
  });
}

/** Renames columns as the mixture asks: `{ prompt: "question" }` reads `prompt` from `question`. */
export function mapColumns(row: unknown, columns: Readonly<Record<string, string>> | undefined): unknown {
  if (columns === undefined || typeof row !== "object" || row === null) return row;
  const mapped: Record<string, unknown> = { ...row };
  for (const [name, from] of Object.entries(columns)) {
    if (!(from in row)) {
      throw new DataError(
        "ERR_DATA_COLUMNS",
        `there is no column "${from}"; the row has ${listed(Object.keys(row))}.`,
        {
          where: `field ${from}`,
          fix: "correct `columns` in the mixture.",
        },
      );
    }
    mapped[name] = (row as Record<string, unknown>)[from];
  }
  return mapped;
}
