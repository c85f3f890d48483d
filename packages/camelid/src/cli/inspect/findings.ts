import type { Conversation } from "../../data/conversation.js";
import type { RenderedRow, RenderOptions } from "../../data/render.js";
import { borderCheck, bosCheck, promptCheck, trainedTextCheck, turnEndCheck } from "../../data/row-checks.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";

/** The outcome of one check over many rows, in words. */
export interface RenderFinding {
  status: "ok" | "warn" | "bad";
  text: string;
}

/** Runs the checks of rendered rows and sums them up, one finding per check. `options` are those of the rendering. */
export async function renderFindings(
  conversations: readonly Conversation[],
  rows: readonly RenderedRow[],
  tokenizer: Tokenizer,
  options: RenderOptions,
): Promise<RenderFinding[]> {
  const sample = rows.map((row, i) => ({ row, conversation: conversations[i] }));
  const checks = [
    bosCheck(sample, tokenizer),
    turnEndCheck(sample, tokenizer),
    trainedTextCheck(sample, tokenizer),
    await promptCheck(sample, tokenizer, options),
    borderCheck(sample),
  ];
  return checks.map(({ status, detail }) => ({ status: status === "fail" ? "bad" : status, text: detail }));
}
