/**
 * What can be wrong with rendered rows, one check each: preflight runs them on a user's own data, `camelid inspect` shows
 * some of them. Each is a function of its arguments and gives one line of the table.
 */
import type { Check } from "../run/checks.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { TokenRow } from "./collate.js";
import type { Conversation } from "./conversation.js";
import type { RenderedRow, RenderOptions } from "./render.js";
import { checkBos, checkPrefixes, checkTrainedText, type RenderProblem, turnEnds } from "./render-checks.js";
import type { SourceAccount } from "./train-rows.js";

/** A row as it will be trained and what it was made of; rows of plain text have no conversation. */
export interface SampledRow {
  readonly row: RenderedRow;
  readonly conversation: Conversation | undefined;
}

/** Exactly one BOS, in front, for models whose texts start with one. */
export function bosCheck(sample: readonly SampledRow[], tokenizer: Tokenizer): Check {
  const problems = sample.flatMap(({ row }) => checkBos(row, tokenizer));
  return outcome("BOS", problems, {
    ok: tokenizer.addsBos ? "every row has exactly one BOS, in front" : "the model uses no BOS",
    promise: "every row has exactly one BOS, in front",
    fix: "let either the chat template or the tokenizer (add_bos_token) write it, not both and not none.",
  });
}

/**
 * Every answer that was not cut is trained to the end of its turn: the special token that the template puts there.
 * @param stopTokenIds what generation with this model stops at; a terminator that is none of them is worth a warning
 */
export function turnEndCheck(
  sample: readonly SampledRow[],
  tokenizer: Tokenizer,
  stopTokenIds?: readonly number[],
): Check {
  const name = "turn end";
  const ends = [
    ...turnEnds(
      sample.map(({ row }) => row),
      tokenizer,
    ),
  ].sort((a, b) => b[1] - a[1]);
  const list = ends.map(([end, times]) => `${end} (${times} times)`).join(", ");
  const without = ends.find(([end]) => tokenizer.specialTokens.get(end) === undefined);
  if (ends.length === 0) {
    const fix = "raise maxSeqLen: every row of the sample is cut before its last answer ends.";
    return { name, status: "warn", detail: "no answer is trained to its end", fix };
  }
  if (without !== undefined) {
    const detail = `${without[1]} answers end without a special token: the model would not learn to stop`;
    const fix =
      "let the chat template write a terminator after every answer, inside its {% generation %} tags if it has them.";
    return { name, status: "fail", detail, fix };
  }
  if (ends.length > 1) {
    const fix = "one terminator for all answers is usual; look at the rows with `camelid inspect`.";
    return { name, status: "warn", detail: `answers end in different ways: ${list}`, fix };
  }
  const [end, times] = ends[0]!;
  if (stopTokenIds !== undefined && !stopTokenIds.includes(tokenizer.specialTokens.get(end)!)) {
    const fix = `add the id of ${end} to eos_token_id in config.json and generation_config.json.`;
    return {
      name,
      status: "warn",
      detail: `answers end with ${end}, at which generation does not stop`,
      fix,
    };
  }
  return { name, status: "ok", detail: `every answer ends with ${end} (${times} times)` };
}

/** What is trained is the assistant's text, byte for byte. */
export function trainedTextCheck(sample: readonly SampledRow[], tokenizer: Tokenizer): Check {
  const problems = sample
    .filter(splitsAtBorders)
    .flatMap(({ row, conversation }) =>
      conversation === undefined ? [] : checkTrainedText(row, conversation, tokenizer),
    );
  return outcome("answers", problems, {
    ok: sample.some(({ conversation }) => conversation !== undefined)
      ? "trained tokens decode to the answers, byte for byte"
      : "plain text: every token is trained",
    promise: "trained tokens decode to the answers, byte for byte",
    fix: "the chat template changes answers, or marks other text as trained: look at these rows with `camelid inspect`.",
  });
}

/**
 * What the model sees before an answer at inference is how the row begins in training.
 * @param options those that the rows were rendered with
 */
export async function promptCheck(
  sample: readonly SampledRow[],
  tokenizer: Tokenizer,
  options: Pick<RenderOptions, "tokenVariant" | "specialTokensInContent"> = {},
): Promise<Check> {
  const problems = await Promise.all(
    sample
      .filter(splitsAtBorders)
      .map(({ row, conversation }) =>
        conversation === undefined ? [] : checkPrefixes(row, conversation, tokenizer, options),
      ),
  );
  return outcome("prompts", problems.flat(), {
    ok: "a prompt at inference begins as its row does in training",
    promise: "a prompt at inference begins as its row does in training",
    fix: "use a template that keeps earlier turns as they were, or rows with one answer each.",
  });
}

/**
 * Borders of answers fall between tokens. A few contents that begin with white space may merge with the line feed before
 * them; a template that merges with most answers shows the model other tokens in training than at inference.
 */
export function borderCheck(sample: readonly SampledRow[]): Check {
  const name = "borders";
  const merged = sample.filter((one) => !splitsAtBorders(one));
  if (merged.length === 0)
    return { name, status: "ok", detail: "no token reaches across the border of an answer" };
  return {
    name,
    status: merged.length > sample.length / 2 ? "fail" : "warn",
    detail: `in ${merged.length} of ${sample.length} rows a token reaches across the border of an answer; it is trained`,
    fix: "end the template's assistant header with a special token or a line feed, not with a space; trim the answers.",
  };
}

/** What is told of merged borders is told once, by `borderCheck`. */
const splitsAtBorders = ({ row }: SampledRow): boolean => row.straddlingTokens === 0;

/** Rows without a trained token teach nothing; they are left out and counted. The share of trained tokens, by source. */
export function trainedShareCheck(account: readonly SourceAccount[]): Check {
  const name = "trained share";
  const shares = account
    .filter(({ tokens }) => tokens > 0)
    .map(({ source, tokens, trainedTokens }) => ({ source, share: trainedTokens / tokens }));
  const detail = excerpt(shares.map(({ source, share }) => `${source} ${percent(share)}`));
  const empty = account.reduce((sum, { nothingToTrain }) => sum + nothingToTrain, 0);
  const untrained = shares.filter(({ share }) => share === 0).map(({ source }) => source);
  if (shares.length === 0 || untrained.length > 0) {
    const where = untrained.length > 0 ? `of ${untrained.join(", ")}` : "at all";
    const fix = "give the rows answers; `camelid inspect` shows what is trained and why.";
    return { name, status: "fail", detail: `no token is trained ${where}`, fix };
  }
  if (empty > 0) {
    const fix = "these rows are left out; remove them from the file to be rid of this line.";
    return { name, status: "warn", detail: `${empty} rows have nothing to train; ${detail}`, fix };
  }
  return { name, status: "ok", detail: `of all tokens: ${detail}` };
}

/** Rows and tokens that `maxSeqLen` cuts away, by source. */
export function truncationCheck(account: readonly SourceAccount[], maxSeqLen: number): Check {
  const name = "length";
  const cut = account.filter(({ rowsCut }) => rowsCut > 0).sort((a, b) => b.rowsCut - a.rowsCut);
  if (cut.length === 0)
    return { name, status: "ok", detail: `no row is longer than ${maxSeqLen} tokens; nothing is cut` };
  const sum = (key: "rows" | "rowsCut" | "tokensCut" | "answerLost") =>
    account.reduce((total, source) => total + source[key], 0);
  const lost = sum("answerLost") === 0 ? "" : `, ${sum("answerLost")} rows lose every answer`;
  const detail =
    `${sum("rowsCut")} of ${sum("rows")} rows are cut at ${maxSeqLen} tokens, ${sum("tokensCut")} tokens lost${lost}; ` +
    `rows by source: ${excerpt(cut.map(({ source, rowsCut }) => `${source} ${rowsCut}`))}`;
  return { name, status: "warn", detail, fix: "raise maxSeqLen, or split long conversations." };
}

/** Markers such as `</s>` inside contents: someone typed them, or the data was rendered once before. */
export function typedMarkersCheck(
  sample: readonly SampledRow[],
  tokenizer: Tokenizer,
  mode: "text" | "parse",
): Check {
  const name = "typed markers";
  const counts = new Map<string, number>();
  for (const { conversation } of sample) {
    for (const { content } of conversation?.messages ?? []) {
      for (const { token } of tokenizer.specials.find(content))
        counts.set(token.content, (counts.get(token.content) ?? 0) + 1);
    }
  }
  if (counts.size === 0)
    return { name, status: "ok", detail: "no special token is typed inside a message of the sample" };
  const list = excerpt([...counts].map(([content, times]) => `${content} ${times} times`));
  const kept = mode === "text" ? "kept as plain text" : "read as the tokens themselves";
  return {
    name,
    status: "warn",
    detail: `typed inside messages and ${kept}: ${list}`,
    fix: "if the file was rendered before, give the conversations without markers (specialTokensInContent decides how they are read).",
  };
}

/** Two rows with one name cannot be told apart in lineage and reports; often they are the same row twice. */
export function duplicateIdsCheck(rows: readonly Pick<TokenRow, "dataset" | "id">[]): Check {
  const name = "row ids";
  const seen = new Map<string, number>();
  for (const { dataset, id } of rows) {
    const key = JSON.stringify([dataset, id]);
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  if (seen.size === rows.length) return { name, status: "ok", detail: `${rows.length} rows, every id once` };
  const [key, times] = [...seen].reduce((most, entry) => (entry[1] > most[1] ? entry : most));
  const [dataset, id] = JSON.parse(key) as [string, string];
  return {
    name,
    status: "warn",
    detail: `${rows.length - seen.size} of ${rows.length} rows repeat an id; ${dataset}/${id} comes ${times} times`,
    fix: "repeat rows on purpose, or remove them (`camelid mix` finds repeated contents).",
  };
}

function outcome(
  name: string,
  problems: readonly RenderProblem[],
  { ok, promise, fix }: { ok: string; promise: string; fix: string },
): Check {
  const first = problems[0];
  if (first === undefined) return { name, status: "ok", detail: ok };
  const rows = new Set(problems.map(({ row }) => row)).size;
  const detail = `not true in ${rows} rows: ${promise}. First, ${first.row}: ${first.detail}`;
  return { name, status: "fail", detail, fix };
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;

function excerpt(parts: readonly string[]): string {
  return parts.length <= 5
    ? parts.join(", ")
    : `${parts.slice(0, 5).join(", ")} and ${parts.length - 5} more`;
}
