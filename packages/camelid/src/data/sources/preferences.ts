/**
 * Preference data in the shapes it is published in, as pairs of conversations with one prompt. Pairs that say nothing
 * (equal sides, an empty side, different prompts) are left out with that reason; the lineage lists them.
 */
import { z } from "zod";
import type { Message } from "../conversation.js";
import { pairFault } from "../preference.js";
import { chatMessage, toMessage } from "./messages.js";
import { assistant, type Conversion, type ConvertContext, defineSource, system, user } from "./source.js";

const id = { id: z.union([z.string(), z.number()]).nullish() };
const turns = z.array(chatMessage);

/** UltraFeedback binarized: message lists (with the prompt in both), or flat strings beside a `prompt`. */
export const ultrafeedback = defineSource({
  name: "ultrafeedback",
  rule: "chosen and rejected as message lists or as answers to prompt",
  row: z.object({
    ...id,
    prompt_id: z.string().nullish(),
    prompt: z.union([z.string(), turns]).nullish(),
    chosen: z.union([z.string(), turns]),
    rejected: z.union([z.string(), turns]),
  }),
  convert(row, context) {
    const before =
      typeof row.prompt === "string" ? [user(row.prompt)] : messagesOf(row.prompt ?? [], "prompt");
    const side = (value: typeof row.chosen, field: string): Message[] => {
      if (typeof value === "string") return [...before, assistant(value)];
      const messages = messagesOf(value, field);
      // TRL's explicit form keeps the prompt apart: then a side holds answers only.
      return messages[0]?.role === "assistant" ? [...before, ...messages] : messages;
    };
    return onePair(
      side(row.chosen, "chosen"),
      side(row.rejected, "rejected"),
      row.id ?? row.prompt_id,
      context,
    );
  },
});

/** HH-RLHF: whole transcripts with `Human:` and `Assistant:` paragraphs on both sides. */
export const hhRlhf = defineSource({
  name: "hh-rlhf",
  rule: "transcripts cut at their Human and Assistant paragraphs",
  row: z.object({ ...id, chosen: z.string(), rejected: z.string() }),
  convert: (row, context) => onePair(transcript(row.chosen), transcript(row.rejected), row.id, context),
});

/** ShareGPT-style pairs: the conversation so far, then one message each way. */
export const sharegptPairs = defineSource({
  name: "sharegpt-pairs",
  rule: "conversations followed by chosen and by rejected",
  row: z.object({
    ...id,
    system: z.string().nullish(),
    conversations: z.array(z.object({ from: z.string(), value: z.string() })).min(1),
    chosen: z.object({ from: z.string(), value: z.string() }),
    rejected: z.object({ from: z.string(), value: z.string() }),
  }),
  convert(row, context) {
    const before = row.conversations.map((turn, i) =>
      toMessage(turn.from, turn.value, `conversations[${i}]`),
    );
    if (row.system) before.unshift(system(row.system));
    const side = (turn: typeof row.chosen, field: string) => [
      ...before,
      toMessage(turn.from, turn.value, field),
    ];
    return onePair(side(row.chosen, "chosen"), side(row.rejected, "rejected"), row.id, context);
  },
});

/** PandaLM's tables lost the quotes of answers that look like numbers or truth values: `true` was the answer "True". */
const answer = z
  .union([z.string(), z.number(), z.boolean()])
  .transform((value) => (typeof value === "boolean" ? (value ? "True" : "False") : String(value)));

/**
 * Two answers and votes: LLMBar (`label`), AlpacaEval annotations (`preference`), PandaLM (three annotators; the
 * majority decides). 1 and 2 name the better answer; a tie makes no pair.
 */
export const votes = defineSource({
  name: "votes",
  rule: "the answer with more votes is chosen; ties are left out",
  row: z.object({
    ...id,
    instruction: z.string().nullish(),
    input: z.string().nullish(),
    output_1: answer.nullish(),
    output_2: answer.nullish(),
    response1: answer.nullish(),
    response2: answer.nullish(),
    label: z.number().nullish(),
    preference: z.number().nullish(),
    annotator1: z.number().nullish(),
    annotator2: z.number().nullish(),
    annotator3: z.number().nullish(),
  }),
  convert(row, context) {
    const prompt = [row.instruction, row.input].filter((text) => text?.trim()).join("\n\n");
    const answers = [row.output_1 ?? row.response1 ?? "", row.output_2 ?? row.response2 ?? ""] as const;
    const cast = [row.label, row.preference, row.annotator1, row.annotator2, row.annotator3];
    const balance = cast.filter((vote) => vote === 1).length - cast.filter((vote) => vote === 2).length;
    if (balance === 0) return { conversations: [], dropped: { "a tie, or no vote": 1 } };
    const [better, worse] = balance > 0 ? answers : [answers[1], answers[0]];
    return onePair([user(prompt), assistant(better)], [user(prompt), assistant(worse)], row.id, context);
  },
});

function onePair(
  chosen: Message[],
  rejected: Message[],
  ownId: string | number | null | undefined,
  { dataset, stem, row }: ConvertContext,
): Conversion {
  const fault = pairFault(chosen, rejected);
  if (fault !== undefined) return { conversations: [], dropped: { [fault]: 1 } };
  const messages = [...chosen, rejected.at(-1)!];
  return {
    conversations: [
      { dataset, id: ownId == null ? `${stem}_${row}` : String(ownId), messages, pair: { chosen, rejected } },
    ],
  };
}

function messagesOf(list: readonly { role: string; content: string }[], field: string): Message[] {
  return list.map(({ role, content }, i) => toMessage(role, content, `${field}[${i}]`));
}

/** `\n\nHuman: ...\n\nAssistant: ...`; what stands before the first marker belongs to nobody. */
function transcript(text: string): Message[] {
  const parts = text.split(/(?:^|\n\n)(Human|Assistant): ?/);
  const messages: Message[] = [];
  for (let i = 1; i < parts.length; i += 2) {
    const content = parts[i + 1]!.trim();
    messages.push(parts[i] === "Human" ? user(content) : assistant(content));
  }
  return messages;
}
