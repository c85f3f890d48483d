import { CamelidError, DataError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { chatLayout, type PromptOptions } from "./chat-layout.js";
import { type Conversation, checkRoleOrder, describeOrigin, type Message } from "./conversation.js";
import type { ConversationRow } from "./read-conversations.js";
import type { RenderedSegment } from "./segments.js";
import {
  countSegments,
  IGNORE_INDEX,
  type TokenCounts,
  type TokenizedRow,
  type TokenizeOptions,
  type TokenVariant,
  tokenizeSegments,
} from "./tokenize-segments.js";

export { IGNORE_INDEX };

export interface RenderOptions {
  /** Tokens a row may have, BOS included; longer rows are cut on the right, losing their EOS, as in the original. */
  maxSeqLen?: number;
  /** `B` (what tokenizer.json says) unless ids of another tokenizer generation must be reproduced. */
  tokenVariant?: TokenVariant;
  /** `text` keeps `</s>` in a content text; `parse` reads it as the special token, as the original code does. */
  specialTokensInContent?: "text" | "parse";
}

export interface RenderedRow {
  readonly dataset: string;
  readonly id: string;
  readonly inputIds: Int32Array;
  /** The token's own id where it carries loss, else IGNORE_INDEX; not shifted. */
  readonly labels: Int32Array;
  /** Index into SEGMENT_ROLES, per token. */
  readonly roles: Uint8Array;
  readonly trainedTokens: number;
  readonly truncated: boolean;
  /** Tokens that `maxSeqLen` cut away. */
  readonly tokensCut: number;
  /** Answers of which no trained token is left. */
  readonly answersLost: number;
  /** Tokens across the border of an answer; more than 0 means that the tokenizer merges over it. */
  readonly straddlingTokens: number;
}

/**
 * Conversations -> token ids and labels: the one renderer of training, evaluation, serving and inspection. Rows come
 * back in order. The native library works on its threads while the next rows are laid out here.
 * @throws {DataError} ERR_CHAT_TEMPLATE, ERR_TEMPLATE_NOT_PREFIX, ERR_NO_EOS
 */
export async function renderConversations(
  conversations: readonly (Conversation | ConversationRow)[],
  tokenizer: Tokenizer,
  options: RenderOptions = {},
): Promise<RenderedRow[]> {
  const rows = await inBatches(conversations, tokenizer, options, tokenizeSegments);
  return rows.map((row, index) => renderedRow(conversations[index]!, row, options.maxSeqLen));
}

/** Only how many tokens `renderConversations` gives for each conversation, and how many of them are trained. */
export async function countConversations(
  conversations: readonly (Conversation | ConversationRow)[],
  tokenizer: Tokenizer,
  options: Omit<RenderOptions, "maxSeqLen"> = {},
): Promise<TokenCounts[]> {
  return await inBatches(conversations, tokenizer, options, countSegments);
}

async function inBatches<T>(
  conversations: readonly (Conversation | ConversationRow)[],
  tokenizer: Tokenizer,
  options: RenderOptions,
  encode: (rows: RenderedSegment[][], tokenizer: Tokenizer, options: TokenizeOptions) => Promise<T[]>,
): Promise<T[]> {
  const tokenizeOptions = withDefaults(options);
  const layout = chatLayout(tokenizer);
  const jobs: Promise<T[]>[] = [];
  for (let start = 0; start < conversations.length; start += ROWS_PER_BATCH) {
    const batch = conversations.slice(start, start + ROWS_PER_BATCH);
    const segments = batch.map((row) => atRow(row, () => layout.conversation(row.messages)));
    // Two batches are in the library while a third is laid out or labelled here: with one, its threads wait at every
    // end of a batch (a fifth of the speed on four cores). More would only hold memory.
    await jobs.at(-BATCHES_AHEAD);
    const job = encode(segments, tokenizer, tokenizeOptions);
    job.catch(() => {}); // reported by Promise.all below, not as an unhandled rejection before it
    jobs.push(job);
  }
  return (await Promise.all(jobs)).flat();
}

export async function renderConversation(
  conversation: Conversation,
  tokenizer: Tokenizer,
  options: RenderOptions = {},
): Promise<RenderedRow> {
  return (await renderConversations([conversation], tokenizer, options))[0]!;
}

/** The text of a conversation in pieces, before tokens: what will be trained and who wrote it. */
export function renderSegments(messages: readonly Message[], tokenizer: Tokenizer): RenderedSegment[] {
  return chatLayout(tokenizer).conversation(messages);
}

/**
 * The ids that a model answers: the conversation so far and the header of the answer.
 * @throws {DataError} ERR_CHAT_ROLE_ORDER when the last message is not the user's
 */
export async function renderPrompt(
  messages: readonly Message[],
  tokenizer: Tokenizer,
  options: Omit<RenderOptions, "maxSeqLen"> & PromptOptions = {},
): Promise<Int32Array> {
  return (await renderPrompts([messages], tokenizer, options))[0]!;
}

export async function renderPrompts(
  conversations: readonly (readonly Message[])[],
  tokenizer: Tokenizer,
  options: Omit<RenderOptions, "maxSeqLen"> & PromptOptions = {},
): Promise<Int32Array[]> {
  const layout = chatLayout(tokenizer);
  const segments = conversations.map((messages, index) => {
    checkRoleOrder(
      messages,
      `prompt ${index + 1}`,
      "user and assistant take turns, and the user speaks last.",
    );
    if (messages.at(-1)!.role === "user") return layout.prompt(messages, options);
    throw new DataError("ERR_CHAT_ROLE_ORDER", `the prompt ends with role "${messages.at(-1)!.role}".`, {
      where: `prompt ${index + 1}, field messages[${messages.length - 1}].role`,
      fix: "end a prompt with the user's message; the answer is the model's.",
    });
  });
  const rows = await tokenizeSegments(segments, tokenizer, withDefaults(options));
  return rows.map((row) => row.ids);
}

const ROWS_PER_BATCH = 256;
const BATCHES_AHEAD = 3;

function withDefaults({ tokenVariant = "B", specialTokensInContent = "text" }: RenderOptions) {
  return { tokenVariant, specialTokensInContent };
}

function renderedRow(
  { dataset, id }: Conversation,
  { ids, labels, roles, trainedTokens, straddlingTokens }: TokenizedRow,
  maxSeqLen = Number.POSITIVE_INFINITY,
): RenderedRow {
  const whole: RenderedRow = {
    dataset,
    id,
    inputIds: ids,
    labels,
    roles,
    trainedTokens,
    truncated: false,
    tokensCut: 0,
    answersLost: 0,
    straddlingTokens,
  };
  return ids.length > maxSeqLen ? cutRow(whole, maxSeqLen) : whole;
}

function cutRow(row: RenderedRow, length: number): RenderedRow {
  let answersLost = 0;
  let trainedCut = 0;
  for (let token = length; token < row.labels.length; token++) {
    if (row.labels[token] === IGNORE_INDEX) continue;
    trainedCut++;
    if (token === 0 || row.labels[token - 1] === IGNORE_INDEX) answersLost++;
  }
  return {
    ...row,
    inputIds: row.inputIds.slice(0, length),
    labels: row.labels.slice(0, length),
    roles: row.roles.slice(0, length),
    trainedTokens: row.trainedTokens - trainedCut,
    truncated: true,
    tokensCut: row.inputIds.length - length,
    answersLost,
  };
}

/** Errors of a template know the message; the row is known here. */
function atRow<T>(row: Conversation | ConversationRow, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof CamelidError)) throw error;
    const place = "origin" in row ? describeOrigin(row.origin) : `conversation "${row.id}"`;
    const where = error.where === undefined ? place : `${place}, ${error.where}`;
    throw new DataError(error.code, error.message, {
      where,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      cause: error,
    });
  }
}
