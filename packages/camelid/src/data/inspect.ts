import { tokenTexts } from "../tokenizer/token-texts.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { IGNORE_INDEX, type RenderedRow } from "./render.js";
import type { SegmentRole } from "./segments.js";
import { SEGMENT_ROLES } from "./tokenize-segments.js";

/** A token as the trainer gets it, with what a reader wants to know about it. */
export interface InspectedToken {
  id: number;
  /** Empty for all but the last token of a character that takes several. */
  text: string;
  role: SegmentRole;
  trained: boolean;
  special: boolean;
}

export interface InspectedRow {
  /** 1-based place in the file. */
  number: number;
  dataset: string;
  id: string;
  tokens: InspectedToken[];
  trainedTokens: number;
  tokensCut: number;
  answersLost: number;
}

/** Neighbouring tokens with the same role and the same label. */
export interface TokenRun {
  role: SegmentRole;
  trained: boolean;
  tokens: InspectedToken[];
}

export function inspectRow(row: RenderedRow, number: number, tokenizer: Tokenizer): InspectedRow {
  const specials = new Set(tokenizer.specialTokens.values());
  const tokens = tokenTexts(row.inputIds, tokenizer).map((text, token): InspectedToken => {
    const id = row.inputIds[token]!;
    const role = SEGMENT_ROLES[row.roles[token]!]!;
    return { id, text, role, trained: row.labels[token] !== IGNORE_INDEX, special: specials.has(id) };
  });
  const { dataset, id, trainedTokens, tokensCut, answersLost } = row;
  return { number, dataset, id, tokens, trainedTokens, tokensCut, answersLost };
}

/**
 * Why a token carries loss, or does not, in a sentence.
 * @param inPair only the last answer of each side of a pair is trained
 */
export function labelReason(
  { role, trained, special }: InspectedToken,
  index: number,
  inPair: boolean,
): string {
  if (trained && special) return "ends the answer: the model learns to stop here";
  if (trained) return "part of the answer: the model learns to say it";
  if (index === 0) return "the first token: nothing comes before it to predict it from";
  switch (role) {
    case "system":
      return "instructions to the model: read, not learned";
    case "user":
      return "written by the user: read, not learned";
    case "assistant":
      return inPair
        ? "an answer before the last one: part of the prompt that both sides share"
        : "said by the assistant, but outside what the template trains";
    case "template":
      return special
        ? "a mark that the template sets"
        : "put there by the chat template, the same in every row";
  }
}

export function tokenRuns(tokens: readonly InspectedToken[]): TokenRun[] {
  const runs: TokenRun[] = [];
  for (const token of tokens) {
    const last = runs.at(-1);
    if (last?.role === token.role && last.trained === token.trained) last.tokens.push(token);
    else runs.push({ role: token.role, trained: token.trained, tokens: [token] });
  }
  return runs;
}
