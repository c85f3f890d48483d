/** Votes -> a data set of preferences that `camelid dpo` takes. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Message } from "../../data/conversation.js";
import { pairFault } from "../../data/preference.js";
import { DataError } from "../../errors.js";
import { writeFileAtomic } from "../../run/atomic-write.js";
import type { ExportReply, Vote } from "../api.js";

/** A decided vote as a pair; undefined where it says nothing: a tie, or the same answer twice. */
export function pairOfVote({
  id,
  messages,
  a,
  b,
  winner,
}: Vote): { dataset: string; id: string; chosen: Message[]; rejected: Message[] } | undefined {
  if (winner !== "a" && winner !== "b") return undefined;
  const [won, lost] = winner === "a" ? [a, b] : [b, a];
  const side = (text: string) => [...(messages as Message[]), { role: "assistant" as const, content: text }];
  const pair = { dataset: "studio-arena", id, chosen: side(won.text), rejected: side(lost.text) };
  return pairFault(pair.chosen, pair.rejected) === undefined ? pair : undefined;
}

/**
 * Writes a new file; earlier exports stay, since runs may have been trained on them.
 * @throws {DataError} `ERR_NO_ROWS` when no vote makes a pair
 */
export function exportPairs(folder: string, votes: readonly Vote[]): Omit<ExportReply, "id"> {
  const pairs = votes.flatMap((vote) => pairOfVote(vote) ?? []);
  const ties = votes.filter(({ winner }) => winner === "tie" || winner === "both-bad").length;
  if (pairs.length === 0) {
    throw new DataError("ERR_NO_ROWS", "no vote makes a pair yet.", {
      fix: "prefer one answer over another; ties and equal answers teach nothing.",
    });
  }
  mkdirSync(folder, { recursive: true });
  let path = join(folder, `pairs-${pairs.length}.jsonl`);
  for (let n = 2; existsSync(path); n++) path = join(folder, `pairs-${pairs.length}-${n}.jsonl`);
  writeFileAtomic(path, pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""));
  return { path, pairs: pairs.length, leftOut: { ties, same: votes.length - ties - pairs.length } };
}
