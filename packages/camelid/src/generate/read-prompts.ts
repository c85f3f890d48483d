/** Prompts from a file: lines with `messages` (a conversation to be answered) or `prompt` (text to be continued). */
import { z } from "zod";
import type { Message } from "../data/conversation.js";
import { readRows } from "../data/read-conversations.js";
import { DataError } from "../errors.js";

export interface Prompt {
  id: string;
  content: { messages: readonly Message[] } | { text: string };
}

const message = z.object({ role: z.enum(["system", "user", "assistant"]), content: z.string() });
const id = z.union([z.string(), z.number()]).optional();
// Not `.min(1)`: zod compares the `length` of whatever stands there, and an object without a usable toString throws.
const PromptRow = z.union([
  z.object({
    id,
    messages: z.array(message).refine((messages) => messages.length > 0),
    prompt: z.undefined().optional(),
  }),
  z.object({ id, prompt: z.string(), messages: z.undefined().optional() }),
]);

/** @throws {DataError} ERR_PROMPT_SHAPE with the line, ERR_NO_ROWS, and what reading the file throws */
export async function readPrompts(file: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  for await (const { origin, parse } of readRows(file)) {
    const row = PromptRow.safeParse(parse());
    if (!row.success) {
      throw new DataError("ERR_PROMPT_SHAPE", "the row is not a prompt.", {
        where: `${origin.file} ${origin.unit} ${origin.line}`,
        fix: 'give it "messages": [{"role": "user", "content": "..."}], or "prompt": "text to be continued", not both.',
      });
    }
    const { messages, prompt } = row.data;
    const content = messages === undefined ? { text: prompt } : { messages };
    prompts.push({ id: String(row.data.id ?? prompts.length), content });
  }
  if (prompts.length === 0) {
    throw new DataError("ERR_NO_ROWS", "the file holds no prompts.", {
      where: file,
      fix: "write one JSON object a line.",
    });
  }
  return prompts;
}
