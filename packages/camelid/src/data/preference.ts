/**
 * A preference pair: two conversations that share their prompt and differ in the last answer. The form on disk is
 * `{"dataset", "id", "chosen": [messages], "rejected": [messages]}`, whole conversations on both sides.
 */
import type { Conversation, Message } from "./conversation.js";

export interface PreferencePair {
  readonly dataset: string;
  readonly id: string;
  readonly chosen: readonly Message[];
  readonly rejected: readonly Message[];
}

/**
 * What the mixer handles: a conversation, or a pair. A pair's `messages` are the chosen conversation and the rejected
 * answer after it, so that filters, duplicates and decontamination look at all of its text.
 */
export interface MixRecord extends Conversation {
  readonly pair?: { readonly chosen: Message[]; readonly rejected: Message[] };
}

export type PairFault =
  | "chosen equals rejected"
  | "the sides have different prompts"
  | "a side is empty"
  | "a side does not end with an answer";

/** Why two conversations make no pair; undefined when they do. White space around contents does not count. */
export function pairFault(chosen: readonly Message[], rejected: readonly Message[]): PairFault | undefined {
  const [lastChosen, lastRejected] = [chosen.at(-1), rejected.at(-1)];
  if (lastChosen === undefined || lastRejected === undefined) return "a side is empty";
  if (lastChosen.role !== "assistant" || lastRejected.role !== "assistant")
    return "a side does not end with an answer";
  if (lastChosen.content.trim() === "" || lastRejected.content.trim() === "") return "a side is empty";
  if (chosen.length < 2 || rejected.length < 2) return "a side is empty";
  const same = (a: Message, b: Message | undefined) =>
    a.role === b?.role && a.content.trim() === b.content.trim();
  const prompt = chosen.slice(0, -1);
  if (chosen.length !== rejected.length || !prompt.every((message, i) => same(message, rejected[i]))) {
    return "the sides have different prompts";
  }
  return same(lastChosen, lastRejected) ? "chosen equals rejected" : undefined;
}
