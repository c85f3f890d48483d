/** Both sides of pairs as the preference trainer gets them, with the role of every token: for people to look at. */
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { trainedTokens } from "./collate.js";
import { pairSides } from "./pair-rows.js";
import { readRows } from "./read-conversations.js";
import type { PreferenceRow } from "./read-preferences.js";
import { type RenderedRow, type RenderOptions, renderConversations } from "./render.js";

export interface PairSides {
  /** Labels on the last answer only; cut to `maxSeqLen`. */
  chosen: RenderedRow;
  rejected: RenderedRow;
  /** The same as rendered, whole, with labels on every answer: what checks of rendering look at. */
  rendered: readonly [chosen: RenderedRow, rejected: RenderedRow];
}

export async function renderPairSides(
  rows: readonly PreferenceRow[],
  tokenizer: Tokenizer,
  { maxSeqLen = Number.POSITIVE_INFINITY, ...options }: RenderOptions,
): Promise<PairSides[]> {
  const sides = rows.flatMap(({ dataset, id, chosen, rejected }) => [
    { dataset, id, messages: [...chosen] },
    { dataset, id, messages: [...rejected] },
  ]);
  const rendered = await renderConversations(sides, tokenizer, options);
  return rows.map((row, i) => {
    const whole = [rendered[2 * i]!, rendered[2 * i + 1]!] as const;
    const joined = pairSides(row, ...whole);
    const shown = (side: RenderedRow, labels: Int32Array, name: string) =>
      cut({ ...side, id: `${row.id} ${name}`, labels }, maxSeqLen);
    return {
      chosen: shown(whole[0], joined.chosen.labels as Int32Array, "chosen"),
      rejected: shown(whole[1], joined.rejected.labels as Int32Array, "rejected"),
      rendered: whole,
    };
  });
}

function cut(row: RenderedRow, length: number): RenderedRow {
  const short = {
    ...row,
    inputIds: row.inputIds.slice(0, length),
    labels: row.labels.slice(0, length),
    roles: row.roles.slice(0, length),
  };
  const trained = trainedTokens(short);
  return {
    ...short,
    trainedTokens: trained,
    truncated: row.inputIds.length > length,
    tokensCut: row.inputIds.length - short.inputIds.length,
    answersLost: trained === 0 ? 1 : 0,
  };
}

/** Whether the first row of a file is a pair. A row that cannot be read is none: reading the file will tell. */
export async function holdsPairs(file: string): Promise<boolean> {
  for await (const { parse } of readRows(file)) {
    try {
      const value = parse() as { chosen?: unknown; rejected?: unknown } | null;
      return typeof value === "object" && value?.chosen !== undefined && value.rejected !== undefined;
    } catch {
      return false;
    }
  }
  return false;
}
