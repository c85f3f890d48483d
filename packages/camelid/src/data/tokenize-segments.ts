import { type SpecialMatch, swallowed } from "../tokenizer/special-tokens.js";
import type { EncodedStretch, StretchTokenizer } from "../tokenizer/stretch-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { RenderedSegment, SegmentRole } from "./segments.js";

/**
 * What happens at a special token, by tokenizer generation (it decides the ids of the line feed after a mid-text EOS):
 *
 * - `A` white space beside it is dropped, and the text after it gets the dummy prefix: the slow tokenizers of 2023
 * - `B` nothing is dropped; the dummy prefix is what tokenizer.json says
 * - `C` nothing is dropped, no dummy prefix after it: `legacy: false`
 *
 * Byte-level tokenizers have no dummy prefix, so there B and C are the same.
 */
export type TokenVariant = "A" | "B" | "C";

export interface TokenizeOptions {
  tokenVariant: TokenVariant;
  /** `text`: special tokens come from the template only. `parse`: their text counts wherever it stands. */
  specialTokensInContent: "text" | "parse";
}

/** The label of a token without loss. */
export const IGNORE_INDEX = -100;

export interface TokenizedRow {
  ids: Int32Array;
  /** The token's own id where it carries loss, else IGNORE_INDEX; not shifted. */
  labels: Int32Array;
  /** Index into SEGMENT_ROLES. */
  roles: Uint8Array;
  trainedTokens: number;
  /** Tokens that hold characters of both a trained and an untrained stretch; they are trained. */
  straddlingTokens: number;
}

export const SEGMENT_ROLES: readonly SegmentRole[] = ["template", "system", "user", "assistant"];

/**
 * Tokenises rows of segments. All stretches of all rows go to the library in one or two calls; special tokens are put
 * between them by id. The ids equal those of encoding the whole text at once (data/render.property.test.ts).
 */
export async function tokenizeSegments(
  rows: readonly (readonly RenderedSegment[])[],
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<TokenizedRow[]> {
  return (await encodeRows(rows, tokenizer, options)).map((plan) => assembleRow(plan, tokenizer));
}

export interface TokenCounts {
  tokens: number;
  trainedTokens: number;
}

/** How many tokens, and trained ones, `tokenizeSegments` gives for each row, without any of them. */
export async function countSegments(
  rows: readonly (readonly RenderedSegment[])[],
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<TokenCounts[]> {
  return (await encodeRows(rows, tokenizer, options)).map((plan) => {
    const counts = { tokens: 0, trainedTokens: 0 };
    const mark: Mark = (start, end, span) => {
      if (span.trained) counts.trainedTokens += end - start;
    };
    counts.tokens = rowLength(plan, tokenizer);
    walkRow(plan, tokenizer, mark);
    return counts;
  });
}

async function encodeRows(
  rows: readonly (readonly RenderedSegment[])[],
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<RowPlan[]> {
  const encoders: Encoders = {
    head: tokenizer.stretches({ place: "head", dummyPrefix: "as-file" }),
    inner: tokenizer.stretches({
      place: "inner",
      dummyPrefix: options.tokenVariant === "C" ? "never" : "as-file",
    }),
  };
  const plans = rows.map((segments) => planRow(segments, tokenizer, encoders, options));
  await encodeStretches(plans.flatMap((plan) => plan.pieces));
  return plans;
}

/** A special token or a stretch between two of them, at [start, end) of the row's text. */
interface Piece {
  start: number;
  end: number;
  special: number | undefined;
  text: string;
  encoder: StretchTokenizer | undefined;
  encoded: EncodedStretch | undefined;
}

/** A part of the text whose characters are alike. */
interface Span {
  end: number;
  trained: boolean;
  role: number;
}

interface RowPlan {
  pieces: Piece[];
  spans: Span[];
}

interface Encoders {
  head: StretchTokenizer;
  inner: StretchTokenizer;
}

function planRow(
  segments: readonly RenderedSegment[],
  tokenizer: Tokenizer,
  encoders: Encoders,
  options: TokenizeOptions,
): RowPlan {
  const spans: Span[] = [];
  const specialSegments: SpecialMatch[] = [];
  let text = "";
  for (const segment of segments) {
    const start = text.length;
    text += segment.text;
    if (segment.special === true) {
      specialSegments.push({ start, end: text.length, token: tokenizer.specials.tokens.get(segment.text)! });
    }
    const role = SEGMENT_ROLES.indexOf(segment.role);
    const last = spans.at(-1);
    if (last?.trained === segment.trained && last.role === role) last.end = text.length;
    else spans.push({ end: text.length, trained: segment.trained, role });
  }
  const matches =
    options.specialTokensInContent === "parse" ? tokenizer.specials.find(text) : specialSegments;
  // `apply_chat_template` writes BOS into the text, so nothing after it is the text's head; the tokenizers of 2023 were given the
  // text without it.
  const first = segments[0]?.afterBos === true && options.tokenVariant === "B" ? "inner" : "head";
  return { pieces: cutPieces(text, matches, encoders, first, options.tokenVariant === "A"), spans };
}

function cutPieces(
  text: string,
  matches: readonly SpecialMatch[],
  encoders: Encoders,
  first: keyof Encoders,
  swallowSpace: boolean,
): Piece[] {
  const pieces: Piece[] = [];
  let position = 0;
  const stretchUpTo = (end: number) => {
    if (end <= position) return;
    const encoder = encoders[position === 0 ? first : "inner"];
    const stretch = text.slice(position, end);
    pieces.push({ start: position, end, special: undefined, text: stretch, encoder, encoded: undefined });
  };
  for (const match of matches) {
    const { start, end } = swallowed(match, text, swallowSpace);
    stretchUpTo(start);
    pieces.push({ ...match, special: match.token.id, text: "", encoder: undefined, encoded: undefined });
    position = end;
  }
  stretchUpTo(text.length);
  return pieces;
}

async function encodeStretches(pieces: readonly Piece[]): Promise<void> {
  const byEncoder = new Map<StretchTokenizer, Map<string, Piece[]>>();
  for (const piece of pieces) {
    if (piece.encoder === undefined) continue;
    const byText = byEncoder.get(piece.encoder) ?? new Map<string, Piece[]>();
    byEncoder.set(piece.encoder, byText);
    // Equal stretches cross to the library once: the line feed between two turns comes by the thousand.
    const sameText = byText.get(piece.text);
    if (sameText === undefined) byText.set(piece.text, [piece]);
    else sameText.push(piece);
  }
  for (const [encoder, byText] of byEncoder) {
    const encoded = await encoder.encode([...byText.keys()]);
    for (const [index, sameText] of [...byText.values()].entries()) {
      for (const piece of sameText) piece.encoded = encoded[index];
    }
  }
}

function assembleRow(plan: RowPlan, tokenizer: Tokenizer): TokenizedRow {
  const length = rowLength(plan, tokenizer);
  const row: TokenizedRow = {
    ids: new Int32Array(length),
    labels: new Int32Array(length).fill(IGNORE_INDEX),
    roles: new Uint8Array(length),
    trainedTokens: 0,
    straddlingTokens: 0,
  };
  let at = 0;
  const bos = missingBos(plan.pieces, tokenizer);
  if (bos !== undefined) row.ids[at++] = bos;
  for (const { encoded, special } of plan.pieces) {
    if (encoded === undefined) {
      row.ids[at++] = special!;
      continue;
    }
    const { ids } = encoded;
    for (let token = 0; token < ids.length; token++) row.ids[at++] = ids[token]!; // 4 times faster than set()
  }
  row.straddlingTokens = walkRow(plan, tokenizer, (start, end, span) => {
    row.roles.fill(span.role, start, end);
    if (!span.trained) return;
    for (let token = start; token < end; token++) row.labels[token] = row.ids[token]!;
    row.trainedTokens += end - start;
  });
  return row;
}

function rowLength({ pieces }: RowPlan, tokenizer: Tokenizer): number {
  let length = missingBos(pieces, tokenizer) === undefined ? 0 : 1;
  for (const { encoded } of pieces) length += encoded?.length ?? 1;
  return length;
}

/** Hears of tokens [start, end) of the row that belong to one span. */
type Mark = (start: number, end: number, span: Span) => void;

/** Tells `mark` about every token but a missing BOS. @returns tokens across the border of an answer */
function walkRow({ pieces, spans }: RowPlan, tokenizer: Tokenizer, mark: Mark): number {
  let at = missingBos(pieces, tokenizer) === undefined ? 0 : 1;
  let span = 0;
  let straddling = 0;
  for (const piece of pieces) {
    while (spans[span]!.end <= piece.start) span++;
    if (piece.encoded === undefined) {
      mark(at, at + 1, spans[span]!);
      at++;
      continue;
    }
    const walked = walkStretch(piece, piece.encoded, at, spans, span, mark);
    span = walked.span;
    straddling += walked.straddling;
    at += piece.encoded.length;
  }
  return straddling;
}

/** Exactly one BOS: the template's, or else ours where the model's texts start with one. */
function missingBos(pieces: readonly Piece[], tokenizer: Tokenizer): number | undefined {
  if (!tokenizer.addsBos || pieces[0]?.special === tokenizer.bosTokenId) return undefined;
  return tokenizer.bosTokenId;
}

/** Walks the spans over a stretch; returns the index of the span that holds its last character. */
function walkStretch(
  piece: Piece,
  encoded: EncodedStretch,
  at: number,
  spans: readonly Span[],
  first: number,
  mark: Mark,
): { span: number; straddling: number } {
  const codePoint = codePointCounter(piece.text);
  let token = 0;
  let straddling = 0;
  let index = first;
  for (; spans[index]!.end < piece.end; index++) {
    const span = spans[index]!;
    const position = codePoint(span.end - piece.start);
    let border = tokenFrom(encoded, position);
    if (span.trained !== spans[index + 1]!.trained && startsBefore(encoded, border, position)) {
      straddling++;
      if (span.trained) border++;
    }
    const end = Math.max(token, border);
    mark(at + token, at + end, span);
    token = end;
  }
  mark(at + token, at + encoded.length, spans[index]!);
  return { span: index, straddling };
}

/** The first token that holds the character at `position`. */
function tokenFrom(encoded: EncodedStretch, position: number): number {
  // A normalizer may have dropped the character at the border; then the next one that has a token counts.
  for (let ahead = 0; ahead < LONGEST_DROPPED_RUN; ahead++) {
    const token = encoded.charToToken(position + ahead);
    if (token !== undefined) return token;
  }
  return encoded.length;
}

function startsBefore(encoded: EncodedStretch, token: number, position: number): boolean {
  const range = encoded.tokenToChars(token);
  return range !== undefined && range[0] < position;
}

const LONGEST_DROPPED_RUN = 64;

/** UTF-16 position -> code point position, for positions that do not go back. */
function codePointCounter(text: string): (position: number) => number {
  let [unit, astral] = [0, 0];
  return (position) => {
    for (; unit < position; unit++) if ((text.charCodeAt(unit) & 0xfc00) === 0xd800) astral++;
    return position - astral;
  };
}
