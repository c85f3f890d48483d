/**
 * The unified record (`dataset`, `id`, `messages`), the published Tülu mix, OpenAI's chat files, and rows with
 * `messages` alone. A row without `dataset` or `id` gets the mixture's tag and `<file stem>_<row>`.
 */
import { z } from "zod";
import { DataError } from "../../errors.js";
import { checkRoleOrder, type Message, type Role } from "../conversation.js";
import { defineSource, oneConversation } from "./source.js";

/** Senders seen in the wild, and the three roles they mean. */
const ROLES: Readonly<Record<string, Role>> = {
  system: "system",
  developer: "system",
  user: "user",
  human: "user",
  prompter: "user",
  assistant: "assistant",
  gpt: "assistant",
  chatgpt: "assistant",
  model: "assistant",
  bot: "assistant",
};

/** Empty is what writers of chat files put everywhere; anything else would train something else than the file says if it were dropped. */
const unused = (why: string) =>
  z
    .unknown()
    .refine((value) => value == null || (Array.isArray(value) && value.length === 0), why)
    .optional();

/** A message of OpenAI's chat files. */
export const chatMessage = z.object({
  role: z.string(),
  content: z.string(),
  tool_calls: unused("calls of tools are not supported"),
  function_call: unused("calls of functions are not supported"),
  weight: z.literal(1, "weights of messages are not supported").nullish(),
});

export const messages = defineSource({
  name: "messages",
  rule: "messages as they are; dataset and id kept where the row has them",
  row: z.object({
    dataset: z.string().nullish(),
    id: z.union([z.string(), z.number()]).nullish(),
    messages: z.array(chatMessage).min(1),
    tools: unused("definitions of tools are not supported"),
    functions: unused("definitions of functions are not supported"),
  }),
  convert(value, { dataset, stem, row }) {
    const turns = value.messages.map((turn, i) => toMessage(turn.role, turn.content, `messages[${i}]`));
    checkOrder(turns, "messages");
    return oneConversation({
      dataset: value.dataset ?? dataset,
      id: value.id == null ? `${stem}_${row}` : String(value.id),
      messages: turns,
    });
  },
});

/** @param field where the turn stands, for the error */
export function toMessage(sender: string, content: string, field: string): Message {
  const role = ROLES[sender];
  if (role !== undefined) return { role, content };
  throw new DataError("ERR_DATA_ROW_ROLES", `unknown message sender "${sender}".`, {
    where: `field ${field}`,
    fix: `known senders are ${Object.keys(ROLES).join(", ")}; leave such rows out with --on-bad skip.`,
  });
}

/** What trainers accept: system only first, then user and assistant in turn, and an answer to train on. */
export function checkOrder(turns: readonly Message[], field: string): void {
  checkRoleOrder(turns, ""); // the reader of the row knows file and line
  if (!turns.some((turn) => turn.role === "assistant")) {
    throw new DataError(
      "ERR_CHAT_NO_ANSWER",
      "the conversation has no assistant message, so nothing to train on.",
      {
        where: `field ${field}`,
        fix: "leave such rows out with --on-bad skip.",
      },
    );
  }
}
