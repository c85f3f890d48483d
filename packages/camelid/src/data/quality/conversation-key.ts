import { DataError } from "../../errors.js";
import type { Conversation } from "../conversation.js";

/**
 * Which part of a conversation two rows must share to count as duplicates:
 * - `conversation`: every message with its role;
 * - `first-prompt`: the first user message alone (several answers to one prompt are then duplicates);
 * - `prompt-and-answer`: the first user message and the first assistant message after it.
 */
export type ConversationKey = "conversation" | "first-prompt" | "prompt-and-answer";

/** The messages that make up the key; empty when the row lacks them, and then it is nobody's duplicate. */
export function keyMessages(row: Conversation, key: ConversationKey): Conversation["messages"] {
  switch (key) {
    case "conversation":
      return row.messages;
    case "first-prompt":
      return row.messages.filter((message) => message.role === "user").slice(0, 1);
    case "prompt-and-answer": {
      const prompt = row.messages.findIndex((message) => message.role === "user");
      if (prompt < 0) return [];
      const answer = row.messages.find((message, i) => i > prompt && message.role === "assistant");
      return answer === undefined ? [] : [row.messages[prompt]!, answer];
    }
    default:
      throw new DataError(
        "ERR_DEDUP_KEY",
        `unknown deduplication key ${JSON.stringify(key satisfies never)}.`,
        {
          fix: 'use "conversation", "first-prompt" or "prompt-and-answer".',
        },
      );
  }
}
