/** A file of conversations -> rows ready for training, with an account of what was cut or left out, by source. */
import { DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { type TokenRow, trainedTokens } from "./collate.js";
import type { Conversation, RowOrigin } from "./conversation.js";
import { rowsFingerprint } from "./fingerprint.js";
import { fileStem, readConversations } from "./read-conversations.js";
import { type RenderedRow, type RenderOptions, renderConversations } from "./render.js";
import type { SampledRow } from "./row-checks.js";
import { holdsTextRows, readTextRows, renderTexts } from "./text-rows.js";

/** A row that knows where it stands in its file: its line, or item of a JSON array, counted from 0. */
export interface TrainRow extends TokenRow {
  readonly place: number;
}

export interface TrainRows {
  rows: TrainRow[];
  /** What a checkpoint notes, so that a run is not continued on other data. */
  fingerprint: { file: string; rows: number; sha256: string };
  /** Names of the sources, in order of appearance. */
  sources: string[];
  /** One entry per source, in the same order. */
  account: SourceAccount[];
  /** Rows that could not be used, with the reason; empty unless such rows are skipped. */
  skipped: DataError[];
  /** Trained rows from all over the file with what they were made of: preflight looks at them. */
  sample: SampledRow[];
}

/** What became of one source's rows. `rows` = trained rows + `answerLost` + `nothingToTrain`. */
export interface SourceAccount {
  source: string;
  rows: number;
  tokens: number;
  trainedTokens: number;
  /** Rows longer than maxSeqLen, cut on the right. */
  rowsCut: number;
  tokensCut: number;
  /** Rows whose every answer was cut away: left out. */
  answerLost: number;
  /** Rows without any trained token to begin with: left out. */
  nothingToTrain: number;
}

export interface TrainRowsOptions extends RenderOptions {
  /** What a row that cannot be used does: `error` stops at the first, `skip` leaves it out and lists it. */
  onBad: "error" | "skip";
}

/** More rows than this share losing their whole answer means that maxSeqLen is wrong for the data. */
const MAX_ANSWER_LOST = 0.05;

/**
 * @throws {DataError} for a row that cannot be used (unless skipped), and when cutting to `maxSeqLen` would lose the answers
 *   of more than 5 % of the rows
 */
export async function readTrainRows(
  file: string,
  tokenizer: Tokenizer,
  options: TrainRowsOptions,
): Promise<TrainRows> {
  const read = await readRendered(file, tokenizer, options);
  const { rendered, skipped, conversations } = read;
  const accounts = new Map<string, SourceAccount>();
  const rows: TrainRow[] = [];
  const kept: number[] = [];
  rendered.forEach((row, i) => {
    const account = accountOf(accounts, row.dataset);
    account.rows++;
    if (row.truncated) account.rowsCut++;
    account.tokensCut += row.tokensCut;
    const trained = trainedTokens(row);
    if (trained > 0) {
      account.tokens += row.inputIds.length;
      account.trainedTokens += trained;
      rows.push({ ...row, place: read.origins[i]!.line - 1 });
      kept.push(i);
    } else if (row.answersLost > 0) {
      account.answerLost++;
    } else {
      account.nothingToTrain++;
      const origin = read.origins[i]!;
      const error = new DataError("ERR_NO_TRAINED_TOKEN", "no token of this row would be trained.", {
        where: `${origin.file} ${origin.unit} ${origin.line}`,
        fix: "give it a non-empty answer, or leave such rows out with `--on-bad skip`.",
      });
      if (options.onBad === "error") throw error;
      skipped.push(error);
    }
  });
  checkAnswersLost(file, rendered, rows.length, [...accounts.values()], options.maxSeqLen);
  const sample = spread(kept, SAMPLED_ROWS).map((i) => ({
    row: rendered[i]!,
    conversation: conversations?.[i],
  }));
  const fingerprint = { file, rows: rows.length, sha256: rowsFingerprint(rows) };
  return {
    rows,
    fingerprint,
    sources: [...accounts.keys()],
    account: [...accounts.values()],
    skipped,
    sample,
  };
}

/** Checks decode every token; a few hundred rows from all over the file say as much as all. */
const SAMPLED_ROWS = 300;

/** At most `count` of the items, evenly spaced. */
function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

interface Rendered {
  rendered: RenderedRow[];
  /** Of each rendered row; rows of plain text have none. */
  conversations: readonly Conversation[] | undefined;
  /** Of each rendered row. */
  origins: RowOrigin[];
  skipped: DataError[];
}

/** Conversations train the answers; rows of plain text train every token. The first row says which a file holds. */
async function readRendered(
  file: string,
  tokenizer: Tokenizer,
  options: TrainRowsOptions,
): Promise<Rendered> {
  if (await holdsTextRows(file)) {
    const rows = await readTextRows(file, fileStem(file));
    const rendered = await renderTexts(rows, tokenizer, options.maxSeqLen);
    const origins = rows.map(({ origin }) => origin);
    return { rendered, conversations: undefined, origins, skipped: [] };
  }
  const read = await readConversations(file, { onBad: options.onBad, requireAssistant: true });
  const rendered = await renderConversations(read.rows, tokenizer, options);
  const origins = read.rows.map(({ origin }) => origin);
  return { rendered, conversations: read.rows, origins, skipped: [...read.skipped] };
}

function accountOf(accounts: Map<string, SourceAccount>, source: string): SourceAccount {
  let account = accounts.get(source);
  if (account === undefined) {
    account = {
      source,
      rows: 0,
      tokens: 0,
      trainedTokens: 0,
      rowsCut: 0,
      tokensCut: 0,
      answerLost: 0,
      nothingToTrain: 0,
    };
    accounts.set(source, account);
  }
  return account;
}

function checkAnswersLost(
  file: string,
  rendered: readonly RenderedRow[],
  kept: number,
  accounts: readonly SourceAccount[],
  maxSeqLen: number | undefined,
): void {
  const lost = accounts.reduce((sum, account) => sum + account.answerLost, 0);
  if (kept > 0 && lost <= MAX_ANSWER_LOST * rendered.length) return;
  const worst = [...accounts].sort((a, b) => b.answerLost - a.answerLost)[0]!;
  throw new DataError(
    "ERR_ANSWERS_LOST",
    `maxSeqLen ${maxSeqLen} cuts away every answer of ${lost} of ${rendered.length} rows.`,
    {
      where: `${file}, most of them (${worst.answerLost}) in source "${worst.source}"`,
      fix: "raise maxSeqLen, or shorten the prompts of these rows.",
    },
  );
}
