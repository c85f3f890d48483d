import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Conversation } from "./conversation.js";
import { strip } from "./python-text.js";
import {
  IGNORE_INDEX,
  type RenderedRow,
  type RenderOptions,
  renderPrompts,
  renderSegments,
} from "./render.js";
import { SEGMENT_ROLES } from "./tokenize-segments.js";

/** A broken promise of a rendered row. Preflight collects them over a sample of the user's rows. */
export interface RenderProblem {
  check: "bos" | "trained-text" | "turn-end" | "prefix";
  row: string;
  detail: string;
}

/** A model whose texts start with BOS has exactly one in each row, in front. */
export function checkBos(row: RenderedRow, tokenizer: Tokenizer): RenderProblem[] {
  const bos = tokenizer.bosTokenId;
  // Where BOS and EOS are one token (GPT-2), counting says nothing.
  if (!tokenizer.addsBos || bos === undefined || bos === tokenizer.eosTokenId) return [];
  const count = row.inputIds.reduce((sum, id) => sum + (id === bos ? 1 : 0), 0);
  if (count === 1 && row.inputIds[0] === bos) return [];
  return [
    { check: "bos", row: row.id, detail: `${count} BOS tokens, the first token is ${row.inputIds[0]}` },
  ];
}

/**
 * The trained tokens of each answer decode to the answer's text, byte for byte (after the trimming that the template
 * does). Only for rows that were not cut. What follows an answer - its terminator - is `turnEnds`' business.
 */
export function checkTrainedText(
  row: RenderedRow,
  conversation: Conversation,
  tokenizer: Tokenizer,
): RenderProblem[] {
  if (row.truncated) return [];
  const problem = (detail: string): RenderProblem => ({ check: "trained-text", row: row.id, detail });
  const rendered = renderSegments(conversation.messages, tokenizer).flatMap(({ role, trained, text }) =>
    role === "assistant" && trained && text.length > 0 ? [text] : [],
  );
  const answers = conversation.messages
    .filter(({ role }) => role === "assistant")
    .map(({ content }) => core(content));
  const written = rendered.map(core).filter((text) => text.length > 0);
  if (written.join("\n") !== answers.filter((text) => text.length > 0).join("\n")) {
    return [
      problem(
        `the template writes the answers ${quoted(answers.join(" / "))} as ${quoted(written.join(" / "))}`,
      ),
    ];
  }
  const trained = answerRuns(row).map((run) => decodeMiddle(row.inputIds, run, tokenizer));
  return rendered.flatMap((text, index) => {
    if (trained[index] === text) return [];
    return [problem(`answer ${quoted(text)} is trained as ${quoted(trained[index] ?? "")}`)];
  });
}

/**
 * How the trained runs of the rows end: token text -> times. One entry, the turn terminator that the template emits, is
 * what a healthy data set shows; rows that were cut are not counted.
 */
export function turnEnds(rows: Iterable<RenderedRow>, tokenizer: Tokenizer): Map<string, number> {
  const ends = new Map<string, number>();
  for (const row of rows) {
    if (row.truncated) continue;
    for (const { start, end } of trainedRuns(row)) {
      const special = endToken(row.inputIds.subarray(start, end), tokenizer);
      const name = special ?? "(no special token)";
      ends.set(name, (ends.get(name) ?? 0) + 1);
    }
  }
  return ends;
}

/**
 * What the model sees before each answer at inference is how the training row begins: the ids of every prompt are a
 * prefix of the row's ids.
 */
export async function checkPrefixes(
  row: RenderedRow,
  conversation: Conversation,
  tokenizer: Tokenizer,
  options: Omit<RenderOptions, "maxSeqLen"> = {},
): Promise<RenderProblem[]> {
  const answers = conversation.messages.flatMap(({ role }, index) => (role === "assistant" ? [index] : []));
  const prompts = await renderPrompts(
    answers.map((index) => conversation.messages.slice(0, index)),
    tokenizer,
    options,
  );
  return prompts.flatMap((prompt, index) => {
    const differs = prompt.findIndex(
      (id, token) => token < row.inputIds.length && id !== row.inputIds[token],
    );
    if (differs < 0) return [];
    const detail = `the prompt of answer ${index + 1} differs from the row at token ${differs}`;
    return [{ check: "prefix" as const, row: row.id, detail }];
  });
}

/** Runs [start, end) of trained tokens. */
export function trainedRuns({ labels }: Pick<RenderedRow, "labels">): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (let token = 0; token < labels.length; token++) {
    if (labels[token] === IGNORE_INDEX) continue;
    const last = runs.at(-1);
    if (last?.end === token) last.end++;
    else runs.push({ start: token, end: token + 1 });
  }
  return runs;
}

/** Runs [start, end) of trained tokens of answers, without what the template puts around them. */
function answerRuns(row: RenderedRow): { start: number; end: number }[] {
  const assistant = SEGMENT_ROLES.indexOf("assistant");
  const labels = row.labels.map((label, token) => (row.roles[token] === assistant ? label : IGNORE_INDEX));
  return trainedRuns({ labels });
}

/** Templates trim by JavaScript's rules or by Python's; what both leave is certainly the answer's text. */
const core = (content: string): string => strip(strip(content).trim());

/** Text of tokens in the middle of a row: decoders treat the first token specially (SentencePiece drops its space). */
function decodeMiddle(
  ids: Int32Array,
  { start, end }: { start: number; end: number },
  tokenizer: Tokenizer,
): string {
  const decode = (to: number) => tokenizer.decode(ids.subarray(0, to), { skipSpecialTokens: false });
  return decode(end).slice(decode(start).length);
}

/** The special token that a run ends with; layout of white space may follow it. */
function endToken(ids: Int32Array, tokenizer: Tokenizer): string | undefined {
  const names = new Map([...tokenizer.specialTokens].map(([name, id]) => [id, name]));
  for (let token = ids.length - 1; token >= 0; token--) {
    const name = names.get(ids[token]!);
    if (name !== undefined) return name;
    if (tokenizer.decode(ids.subarray(token, token + 1)).trim() !== "") return undefined;
  }
  return undefined;
}

const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
