/**
 * Rows of plain text, `{"text": "..."}`: every token is trained. This is how a base model is made or carried on; instruction
 * data has `messages` instead.
 */
import { z } from "zod";
import { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { describeOrigin, type RowOrigin } from "./conversation.js";
import { readRows } from "./read-conversations.js";
import { IGNORE_INDEX, type RenderedRow } from "./render.js";
import { SEGMENT_ROLES } from "./tokenize-segments.js";

const TextRow = z.object({
  text: z.string().min(1),
  id: z.union([z.string(), z.number()]).optional(),
  dataset: z.string().optional(),
});

export interface TextRow {
  dataset: string;
  id: string;
  text: string;
  origin: RowOrigin;
}

/** Whether a file's first row is a text row. */
export async function holdsTextRows(file: string): Promise<boolean> {
  for await (const { parse } of readRows(file)) {
    try {
      const row = parse() as Record<string, unknown> | null;
      return typeof row === "object" && row !== null && "text" in row && !("messages" in row);
    } catch {
      return false; // the reader of conversations says what is wrong
    }
  }
  return false;
}

/**
 * @param stem the file's name without endings, for rows that name no dataset or id
 * @throws {DataError} ERR_ROW_SHAPE with the line
 */
export async function readTextRows(file: string, stem: string): Promise<TextRow[]> {
  const rows: TextRow[] = [];
  for await (const { origin, parse } of readRows(file)) {
    const row = TextRow.safeParse(parse());
    if (!row.success) {
      throw new DataError("ERR_ROW_SHAPE", "the row is not a text row, as the first row of this file is.", {
        where: describeOrigin(origin),
        fix: 'give every row of a file the same form: {"text": "..."} with some text, or {"messages": [...]}.',
      });
    }
    const { text, dataset = stem, id = `${stem}_${rows.length}` } = row.data;
    rows.push({ dataset, id: String(id), text, origin });
  }
  return rows;
}

/** BOS, the text, EOS; all trained but the BOS, which nothing predicts. Cut on the right. */
export async function renderTexts(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  maxSeqLen = Number.POSITIVE_INFINITY,
): Promise<RenderedRow[]> {
  const encoded = await tokenizer.encodeBatch(rows.map((row) => row.text));
  const bos = tokenizer.bosTokenId === undefined ? [] : [tokenizer.bosTokenId];
  const eos = tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId];
  return rows.map(({ dataset, id }, i) => {
    const all = [...bos, ...encoded[i]!, ...eos];
    const inputIds = Int32Array.from(all.slice(0, maxSeqLen));
    const labels = inputIds.slice();
    if (bos.length > 0) labels[0] = IGNORE_INDEX;
    return {
      dataset,
      id,
      inputIds,
      labels,
      roles: new Uint8Array(inputIds.length).fill(SEGMENT_ROLES.indexOf("assistant")),
      trainedTokens: inputIds.length - bos.length,
      truncated: all.length > inputIds.length,
      tokensCut: all.length - inputIds.length,
      answersLost: 0,
      straddlingTokens: 0,
    };
  });
}
