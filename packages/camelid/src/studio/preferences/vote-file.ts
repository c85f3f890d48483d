/** Votes on disk: one JSON object a line, appended and never changed. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Vote } from "../api.js";

const Side = z.object({ model: z.string(), text: z.string(), finishReason: z.string() });

const VoteLine = z.object({
  id: z.string(),
  time: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1),
  a: Side,
  b: Side,
  left: z.enum(["a", "b"]),
  winner: z.enum(["a", "b", "tie", "both-bad"]),
  decoding: z.object({
    maxNewTokens: z.number(),
    temperature: z.number(),
    topP: z.number(),
    seed: z.number(),
  }),
});

/** Where the Studio keeps what it collects: `studio/` in the first root, or in its `out/` where it has one. */
export function studioFolder(root: string): string {
  return existsSync(join(root, "out")) ? join(root, "out", "studio") : join(root, "studio");
}

export class VoteFile {
  readonly path: string;

  constructor(folder: string) {
    this.path = join(folder, "votes.jsonl");
  }

  append(vote: Vote): void {
    mkdirSync(dirname(this.path), { recursive: true });
    appendFileSync(this.path, `${JSON.stringify(vote)}\n`);
  }

  /** A line that was cut or altered is counted and passed over. */
  read(): { votes: Vote[]; broken: number } {
    if (!existsSync(this.path)) return { votes: [], broken: 0 };
    const votes: Vote[] = [];
    let broken = 0;
    for (const line of readFileSync(this.path, "utf8").split("\n")) {
      if (line === "") continue;
      const vote = parse(line);
      if (vote === undefined) broken++;
      else votes.push(vote);
    }
    return { votes, broken };
  }
}

function parse(line: string): Vote | undefined {
  try {
    return VoteLine.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
