import type { InstructionRow, Source } from "./instructions.js";

/**
 * The training rows in the raw formats of real sources, so that the mixer has something to convert:
 * alpaca-like JSON (one turn, three fields), ShareGPT-like JSON (`from`/`value`), and JSONL of messages.
 * @returns file name -> file text
 */
export function rawFiles(rows: readonly InstructionRow[]): ReadonlyMap<string, string> {
  const of = (source: Source) => rows.filter((row) => row.dataset === source);
  return new Map([
    ["valley_school.json", json(of("valley_school").map(alpaca))],
    ["fireside_chats.json", json(of("fireside_chats").map(shareGpt))],
    ["guest_house.jsonl", jsonLines(of("guest_house").map(({ messages }) => ({ messages })))],
    ["hard_coded.jsonl", jsonLines(of("hard_coded").map(({ messages }) => ({ messages })))],
  ]);
}

function alpaca(row: InstructionRow): { instruction: string; input: string; output: string } {
  return { instruction: row.messages[0]?.content ?? "", input: "", output: row.messages[1]?.content ?? "" };
}

function shareGpt(row: InstructionRow): { id: string; conversations: { from: string; value: string }[] } {
  const conversations = row.messages.map(({ role, content }) => ({ from: SENDERS[role], value: content }));
  return { id: row.id, conversations };
}

const SENDERS = { system: "system", user: "human", assistant: "gpt" } as const;

export function jsonLines(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

function json(records: readonly unknown[]): string {
  return `${JSON.stringify(records, null, 1)}\n`;
}
