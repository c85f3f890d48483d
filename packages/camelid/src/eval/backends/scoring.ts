/** Continuations and whole texts as the engine's scoring requests, and back. */
import type { Score, ScoreRequest } from "../../generate/requests.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { ScoreAnswer, ScoreRequest as TaskScoreRequest, TextAnswer, TextRequest } from "../task.js";
import type { PromptRenderer } from "./render.js";

/** A request as token ids. */
export type Prepared =
  | { kind: "generate"; promptIds: Int32Array }
  | PreparedScores
  | { kind: "text"; requests: readonly ScoreRequest[] }
  | { kind: "classify" };

interface PreparedScores {
  kind: "score";
  requests: readonly ScoreRequest[];
  /** Where each continuation went: engine request and place in it. */
  places: readonly { request: number; place: number }[];
  promptTokens: number;
}

/** All prompts and continuations are encoded in one call of the library. */
export async function prepareScores(
  requests: readonly TaskScoreRequest[],
  tokenizer: Tokenizer,
  renderer: PromptRenderer,
): Promise<PreparedScores[]> {
  const encoded = await renderer.ids(
    requests.flatMap(({ prompt, continuations, tokens }) => [
      { prompt },
      ...(tokens === "last" ? [] : continuations.map((continuation) => ({ prompt, continuation }))),
    ]),
  );
  const lone = [...new Set(requests.flatMap((one) => (one.tokens === "last" ? one.continuations : [])))];
  const loneIds = await tokenizer.encodeBatch(lone);
  const lastIds = new Map(lone.map((text, i) => [text, loneIds[i]!.slice(-1)]));
  let at = 0;
  return requests.map((request) => {
    const promptIds = encoded[at++]!;
    if (request.tokens === "last") {
      const continuations = request.continuations.map((text) => lastIds.get(text)!);
      return {
        kind: "score",
        requests: [{ promptIds, continuations }],
        places: continuations.map((_, place) => ({ request: 0, place })),
        promptTokens: promptIds.length,
      };
    }
    const wholes = encoded.slice(at, at + request.continuations.length);
    at += wholes.length;
    return jointScores(promptIds, wholes);
  });
}

/**
 * The tokens of each continuation: what prompt and continuation, encoded as one text, have beyond the prompt. Where a token
 * reaches over the border, that continuation starts earlier and is asked by itself.
 */
function jointScores(promptIds: Int32Array, wholes: readonly Int32Array[]): PreparedScores {
  const shared: { promptIds: Int32Array; continuations: ArrayLike<number>[] } = {
    promptIds,
    continuations: [],
  };
  const requests: ScoreRequest[] = [shared];
  const places: { request: number; place: number }[] = [];
  for (const whole of wholes) {
    const border = Math.max(1, Math.min(commonStart(promptIds, whole), whole.length - 1));
    if (border === promptIds.length) {
      places.push({ request: 0, place: shared.continuations.push(whole.slice(border)) - 1 });
    } else {
      const own = { promptIds: whole.slice(0, border), continuations: [whole.slice(border)] };
      places.push({ request: requests.push(own) - 1, place: 0 });
    }
  }
  const used = requests.filter(({ continuations: some }) => some.length > 0);
  return {
    kind: "score",
    requests: used,
    places: places.map(({ request: at, place }) => ({ request: used.indexOf(requests[at]!), place })),
    promptTokens: promptIds.length,
  };
}

export function scoreAnswer(
  { places, requests, promptTokens }: PreparedScores,
  results: readonly Score[][],
): ScoreAnswer {
  return {
    kind: "score",
    promptTokens,
    scores: places.map(({ request, place }) => {
      const { logp, isGreedy } = results[request]![place]!;
      return { logp, isGreedy, tokens: requests[request]!.continuations[place]!.length };
    }),
  };
}

/** Windows of a text: every token but the first is scored once, given what its window holds before it. */
export async function prepareText(
  request: TextRequest,
  renderer: PromptRenderer,
  contextLength: number,
): Promise<Prepared> {
  const [ids] = await renderer.ids([{ prompt: { text: request.text } }]);
  const window = Math.max(2, Math.min(request.window ?? contextLength, contextLength));
  const context = Math.max(1, Math.min(request.overlap ?? 0, window - 1));
  const requests: ScoreRequest[] = [];
  for (let at = 1; at < ids!.length; ) {
    const before = Math.min(at, requests.length === 0 ? 1 : context);
    const end = Math.min(ids!.length, at + window - before);
    requests.push({ promptIds: ids!.slice(at - before, at), continuations: [ids!.slice(at, end)] });
    at = end;
  }
  return { kind: "text", requests };
}

export function textAnswer(results: readonly Score[][]): TextAnswer {
  let [logp, tokens] = [0, 0];
  for (const [score] of results) {
    logp += score!.logp;
    tokens += score!.tokenLogps.length;
  }
  return { kind: "text", logp, tokens };
}

function commonStart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i;
}
