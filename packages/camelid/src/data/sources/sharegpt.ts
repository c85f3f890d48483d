/**
 * ShareGPT, the html-cleaned dump: `sg_90k_part1_html_cleaned.json` and `..part2..`, split into pieces of at most
 * `maxTokens` (spec 1.6), then converted. `sharegpt_html_cleaned_and_split_4096.json` is the same after splitting.
 *
 * Quirks of the splitter, kept because they decide which rows exist:
 * - a pair (two messages) longer than the limit alone is dropped, and the piece before it ends there;
 * - when the overflow happens at the final pair, that pair is lost;
 * - after a dropped pair the running length starts from that pair's own length, so the next pair overflows again;
 *   the empty piece this makes is removed at the end.
 */
import { z } from "zod";
import { DataError } from "../../errors.js";
import type { Message } from "../conversation.js";
import { type Conversion, defineSource } from "./source.js";

interface Turn {
  from: string;
  value: string;
}

const row = z.object({
  id: z.union([z.string(), z.number()]),
  conversations: z.array(z.object({ from: z.string(), value: z.string() })),
});

/** Tokens the chat format adds around one message, as the original estimates them. */
const TOKENS_PER_TURN = 6;

export const sharegpt = defineSource({
  name: "sharegpt",
  rule: "split at a token limit in pairs of turns; pieces must alternate human, gpt; system and bing turns drop the row",
  row,
  textsToCount: ({ conversations }) => conversations.map(({ value }) => value),
  convert({ id, conversations }, { dataset, tokenCounts, options }) {
    const { pieces, dropped } = splitConversation(tokenCounts, options.maxTokens ?? 4096);
    const made: Conversion["conversations"][number][] = [];
    const steps: string[] = [];
    for (const { start, end } of pieces) {
      const turns = conversations.slice(start, end);
      if (turns.some((turn, i) => turn.from !== (i % 2 === 0 ? "human" : "gpt"))) {
        add(dropped, "turns do not alternate human and gpt");
        continue;
      }
      made.push({ dataset, id: `${dataset}_${id}_${start}`, messages: toMessages(turns)! });
      steps.push(`turns ${start + 1}-${end} of ${conversations.length}`);
    }
    return { conversations: made, steps, dropped };
  },
});

/** The same source after the original's own splitter: every row is one piece already. */
export const sharegptSplit = defineSource({
  name: "sharegpt_split",
  rule: "already split by the original script: senders become roles; system and bing turns drop the row",
  row,
  convert({ id, conversations }, { dataset }) {
    const messages = toMessages(conversations);
    if (messages === undefined) return { conversations: [], dropped: { "has a system or bing turn": 1 } };
    if (messages.length === 0) return { conversations: [], dropped: { "no turns": 1 } };
    return { conversations: [{ dataset, id: `${dataset}_${id}`, messages }] };
  },
});

/**
 * Turn ranges [start, end) of the pieces that are not empty, in order.
 * @param tokenCounts per turn, with the beginning-of-text token that the original's tokenizer call adds to each
 */
export function splitConversation(
  tokenCounts: readonly number[],
  maxTokens: number,
): { pieces: { start: number; end: number }[]; dropped: Record<string, number> } {
  const dropped: Record<string, number> = {};
  const pieces: { start: number; end: number }[] = [];
  const even = tokenCounts.length - (tokenCounts.length % 2);
  if (even < tokenCounts.length) add(dropped, "odd last turn");
  if (even < 2) {
    add(dropped, "fewer than two turns");
    return { pieces, dropped };
  }
  const emit = (start: number, end: number) => {
    if (end > start) pieces.push({ start, end });
  };

  let start = 0;
  let running = 0;
  for (let i = 0; i < even; i += 2) {
    const pair = tokenCounts[i]! + tokenCounts[i + 1]! + 2 * TOKENS_PER_TURN;
    const last = i === even - 2;
    if (running + pair > maxTokens) {
      emit(start, i);
      if (pair > maxTokens) add(dropped, "pair longer than the limit");
      else if (last) add(dropped, "final pair lost at the limit");
      start = pair > maxTokens ? i + 2 : i;
      running = 0;
    } else if (last) emit(start, i + 2);
    running += pair;
  }
  return { pieces, dropped };
}

/** Undefined when a sender rules the conversation out. @throws {DataError} for a sender nobody knows */
function toMessages(turns: readonly Turn[]): Message[] | undefined {
  const messages: Message[] = [];
  for (const { from, value } of turns) {
    if (from === "human" || from === "user") messages.push({ role: "user", content: value });
    else if (from === "gpt" || from === "chatgpt") messages.push({ role: "assistant", content: value });
    else if (from === "system" || from === "bing") return undefined;
    else {
      throw new DataError("ERR_DATA_ROW_ROLES", `sharegpt: unknown message sender "${from}".`, {
        where: "field conversations",
        fix: "senders are human, user, gpt, chatgpt, system, bing; leave such rows out with --on-bad skip.",
      });
    }
  }
  return messages;
}

function add(counts: Record<string, number>, reason: string): void {
  counts[reason] = (counts[reason] ?? 0) + 1;
}
