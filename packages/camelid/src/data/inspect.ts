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

export function tokenRuns(tokens: readonly InspectedToken[]): TokenRun[] {
  const runs: TokenRun[] = [];
  for (const token of tokens) {
    const last = runs.at(-1);
    if (last?.role === token.role && last.trained === token.trained) last.tokens.push(token);
    else runs.push({ role: token.role, trained: token.trained, tokens: [token] });
  }
  return runs;
}
