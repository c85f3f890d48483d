/** How a question becomes a prompt for a chat model and for a base model, by one rule for all tasks. */
import type { Prompt, TaskContext } from "./task.js";

/**
 * A question with the beginning of its answer. Chat models get a user turn and the prefix behind the assistant's header.
 * Base models get the text, and the prefix on a new line; `baseJoin` says what stands between.
 */
export function question(
  context: Pick<TaskContext, "chat">,
  text: string,
  prefix = "",
  { baseJoin = "\n" }: { baseJoin?: string } = {},
): Prompt {
  if (!context.chat) return { text: prefix === "" ? text : text + baseJoin + prefix };
  const messages = [{ role: "user", content: text } as const];
  return prefix === "" ? { messages } : { messages, prefix };
}
