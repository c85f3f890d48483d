/** Continuations and whole texts as the engine's scoring requests, and back. */
import type { Score, ScoreRequest } from "../../generate/requests.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import type { ScoreAnswer, ScoreRequest as TaskScoreRequest, TextAnswer, TextRequest } from "../task.js";
import type { Prepared } from "./engine.js";
import type { PromptRenderer } from "./render.js";

/**
 * The tokens of each continuation: what prompt and continuation, encoded as one text, have beyond the prompt. Where a token
 * reaches over the border, that continuation starts earlier and is asked by itself.
 */
export async function prepareScores(
  request: TaskScoreRequest,
  tokenizer: Tokenizer,
  renderer: PromptRenderer,
): Promise<Prepared> {
  const { prompt, continuations, tokens = "joint" } = request;
  const [promptIds, ...wholes] = await renderer.ids([
    { prompt },
    ...(tokens === "joint" ? continuations.map((continuation) => ({ prompt, continuation })) : []),
  ]);
  const shared: { promptIds: Int32Array; continuations: ArrayLike<number>[] } = {
    promptIds: promptIds!,
    continuations: [],
  };
  const requests: ScoreRequest[] = [shared];
  const places: { request: number; place: number }[] = [];
  for (const [i, continuation] of continuations.entries()) {
    if (tokens === "last") {
      const ids = await tokenizer.encode(continuation);
      places.push({ request: 0, place: shared.continuations.push(ids.slice(-1)) - 1 });
      continue;
    }
    const whole = wholes[i]!;
    const border = Math.max(1, Math.min(commonStart(promptIds!, whole), whole.length - 1));
    if (border === promptIds!.length) {
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
    promptTokens: promptIds!.length,
  };
}

export function scoreAnswer(
  { places, requests, promptTokens }: Extract<Prepared, { kind: "score" }>,
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
