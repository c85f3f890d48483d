/**
 * Open Assistant 1 (Köpf et al. 2023): one message tree a line. Depth-first, following the `topReplies` best
 * replies at prompter and assistant nodes alike; a conversation ends at an assistant node without replies.
 *
 * Quirk, kept: no backtracking and no cut. A best path that ends at a prompter, or at an assistant whose replies
 * are all deleted, gives nothing; so Tülu 2 has 7,708 conversations, fewer than there are trees.
 */
import { z } from "zod";
import { DataError } from "../../errors.js";
import type { Message } from "../conversation.js";
import { assistant, defineSource, user } from "./source.js";

interface Node {
  text: string;
  role: string;
  deleted: boolean;
  /** Absent in early exports, which carry `rank` (0 is best) instead. */
  labels?: Readonly<Record<string, { value: number }>> | null | undefined;
  rank?: number | null | undefined;
  replies: Node[];
}

const node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    text: z.string(),
    role: z.string(),
    deleted: z.boolean(),
    labels: z.record(z.string(), z.looseObject({ value: z.number() })).nullish(),
    rank: z.number().nullish(),
    replies: z.array(node),
  }),
);

export const oasst1 = defineSource({
  name: "oasst1",
  rule: "depth-first along the best-rated replies; a conversation ends at an assistant without replies",
  row: z.object({ prompt: node }),
  runningIds: true,
  convert({ prompt }, { dataset, position, options }) {
    const paths: Message[][] = [];
    follow(prompt, [], paths, options.topReplies ?? Number.POSITIVE_INFINITY);
    const conversations = paths.map((messages, i) => ({
      dataset,
      id: `${dataset}_${position + i}`,
      messages,
    }));
    return paths.length > 0
      ? {
          conversations,
          ...(paths.length > 1 && { steps: paths.map((_, i) => `path ${i + 1} of ${paths.length}`) }),
        }
      : { conversations: [], dropped: { "no path ends at an assistant without replies": 1 } };
  },
});

function follow(reply: Node, before: readonly Message[], paths: Message[][], topReplies: number): void {
  if (reply.deleted) return;
  if (reply.role !== "assistant" && reply.role !== "prompter") {
    throw new DataError("ERR_DATA_ROW_ROLES", `oasst1: unknown role "${reply.role}".`, {
      where: "field role of a reply",
      fix: 'roles are "prompter" and "assistant"; leave such trees out with --on-bad skip.',
    });
  }
  const messages = [...before, reply.role === "assistant" ? assistant(reply.text) : user(reply.text)];
  if (reply.role === "assistant" && reply.replies.length === 0) {
    paths.push(messages);
    return;
  }
  const alive = reply.replies.filter((child) => !child.deleted);
  for (const child of best(alive, topReplies)) follow(child, messages, paths, topReplies);
}

/** Highest quality first, ties in file order; file order untouched when all are followed. */
function best(children: Node[], topReplies: number): Node[] {
  if (!Number.isFinite(topReplies)) return children;
  return sorted(children).slice(0, topReplies);
}

function sorted(children: Node[]): Node[] {
  // The original stops on a node without `labels`; the early export has ranks there instead, 0 for the best.
  const byRank =
    children.every((child) => child.labels == null) && children.some((child) => child.rank != null);
  const score = (child: Node) =>
    byRank ? -(child.rank ?? Number.MAX_SAFE_INTEGER) : (child.labels?.quality?.value ?? 0);
  return [...children].sort((a, b) => score(b) - score(a));
}
