/** Who answers requests: our engine, an OpenAI-compatible endpoint, a judge, a classifier, or stored answers. */
import type { Answer, AnswerOf, Prompt, TaskRequest } from "./task.js";

/** A request with what the runner adds. */
export interface Asked<R extends TaskRequest = TaskRequest> {
  readonly request: R;
  /** Seed of the first sample; sample i uses `seed + i`. */
  readonly seed: number;
  /** Task and item, for messages: `gsm8k 17`. */
  readonly where: string;
}

/** What came of one request: an answer, or why there is none. Refusals are recorded, never scored. */
export type Outcome<R extends TaskRequest = TaskRequest> =
  | { readonly answer: AnswerOf[R["kind"]] }
  | { readonly refused: Refusal };

export interface Refusal {
  /**
   * `prompt-too-long`: prompt and a first token exceed the context. `unsupported`: this backend cannot answer the kind.
   * `failed`: the endpoint kept failing; tried again on the next run. `dry-run`: nobody was asked.
   */
  readonly reason: "prompt-too-long" | "unsupported" | "failed" | "dry-run";
  readonly message: string;
}

export interface Backend extends AsyncDisposable {
  /** For metrics.json and the report: `model out/final`, `endpoint http://... model x`. */
  readonly name: string;
  /** Together with request and seed it identifies an answer: hash of weights and tokenizer, or endpoint and model. */
  readonly identity: string;
  /** Whether `score` and `text` requests are answered. */
  readonly canScore: boolean;
  /**
   * Answers a batch. `onOutcome` is called as each is known, in any order, with its index; what it was called with is safe
   * when the process dies. Aborted: the rest stays unanswered and the promise resolves.
   * @throws {CamelidError} when going on makes no sense (a wrong key, a model that is not there)
   */
  ask(
    batch: readonly Asked[],
    onOutcome: (index: number, outcome: Outcome) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Counters of this run: tokens, retries, cost. */
  stats(): Readonly<Record<string, number>>;
  /**
   * What each answer is kept under between runs, beside `identity`; a hash of request and seed where left out. The engine
   * takes token ids instead of texts: another template or tokenizer asks another question.
   */
  keys?(batch: readonly Asked[]): Promise<readonly string[]>;
  /** The prompt as the model gets it, for the predictions file. */
  show?(prompt: Prompt): string;
}

/** The answer at `index`, which must be of `kind`. A task that asked knows. */
export function answerAt<K extends Answer["kind"]>(
  answers: readonly Answer[],
  index: number,
  kind: K,
): AnswerOf[K] {
  const answer = answers[index];
  if (answer?.kind !== kind) throw new TypeError(`answer ${index} is ${answer?.kind}, not ${kind}`);
  return answer as AnswerOf[K];
}

/** Text of the only sample of the answer at `index`; empty when there is none. */
export function textAt(answers: readonly Answer[], index = 0): string {
  return answerAt(answers, index, "generate").samples[0]?.text ?? "";
}
