import type { ConversationRow } from "../../data/read-conversations.js";
import type { RenderedRow } from "../../data/render.js";
import {
  checkBos,
  checkPrefixes,
  checkTrainedText,
  type RenderProblem,
  turnEnds,
} from "../../data/render-checks.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";

/** The outcome of one check over many rows, in words. */
export interface RenderFinding {
  status: "ok" | "warn" | "bad";
  text: string;
}

/** Runs the checks of rendered rows and sums them up, one finding per check. */
export async function renderFindings(
  conversations: readonly ConversationRow[],
  rows: readonly RenderedRow[],
  tokenizer: Tokenizer,
): Promise<RenderFinding[]> {
  const prefixes = await Promise.all(
    rows.map((row, index) => checkPrefixes(row, conversations[index]!, tokenizer)),
  );
  const bos = tokenizer.addsBos ? "every row has exactly one BOS, in front" : "the model uses no BOS";
  return [
    sumUp(
      bos,
      rows.flatMap((row) => checkBos(row, tokenizer)),
    ),
    endsFinding(turnEnds(rows, tokenizer)),
    sumUp(
      "trained tokens decode to the answers, byte for byte",
      rows.flatMap((row, index) => checkTrainedText(row, conversations[index]!, tokenizer)),
    ),
    sumUp("a prompt at inference begins as its row does in training", prefixes.flat()),
    straddleFinding(rows),
  ];
}

function sumUp(promise: string, problems: readonly RenderProblem[]): RenderFinding {
  const first = problems[0];
  if (first === undefined) return { status: "ok", text: promise };
  const rows = new Set(problems.map(({ row }) => row)).size;
  return {
    status: "bad",
    text: `not true in ${rows} rows: ${promise}. First, ${first.row}: ${first.detail}`,
  };
}

function endsFinding(ends: ReadonlyMap<string, number>): RenderFinding {
  const list = [...ends].sort((a, b) => b[1] - a[1]).map(([end, times]) => `${end} (${times} times)`);
  if (ends.size === 0) return { status: "warn", text: "no answer is trained to its end" };
  if (ends.size > 1) return { status: "warn", text: `answers end in different ways: ${list.join(", ")}` };
  return { status: "ok", text: `every answer ends with ${list[0]}` };
}

function straddleFinding(rows: readonly RenderedRow[]): RenderFinding {
  const count = rows.reduce((sum, row) => sum + row.straddlingTokens, 0);
  if (count === 0) return { status: "ok", text: "no token reaches across the border of an answer" };
  return { status: "warn", text: `${count} tokens reach across the border of an answer; they are trained` };
}
