/** What a right answer looks like. All matching ignores case, and reads whole words. */
export interface Expectation {
  /** The answer as the training rows would say it. */
  readonly answer: string;
  /** Phrases that must appear, in this order. */
  readonly includes: readonly string[];
  /** Phrases that make the answer wrong: the rival values, such as every other village. */
  readonly excludes: readonly string[];
  /** The form is the point (one word, a list, a greeting): only `answer` itself will do. */
  readonly strict: boolean;
}

export interface Verdict {
  /** Right, ended by itself and not buried in talk: what the demo's table counts. */
  readonly correct: boolean;
  /** Letter for letter the expected answer, apart from case, spacing and the final mark. */
  readonly exact: boolean;
  /** Ended with the end token within the allowed length. */
  readonly stopped: boolean;
  /** Why not correct, in a word a table can show. */
  readonly reason:
    | "right"
    | "never stopped"
    | "empty"
    | "too long"
    | "wrong form"
    | "missing"
    | "contradicts itself";
}

/** Words an answer may have beyond the expected ones: room for a polite phrase, none for a story. */
export const SPARE_WORDS = 24;

/**
 * Judges one answer.
 * @param output the generated text without the prompt and the end token
 * @param finishReason `stop` when the model ended its turn, `length` when it was cut off
 */
export function judge(expected: Expectation, output: string, finishReason: "stop" | "length"): Verdict {
  const said = normalised(output);
  const stopped = finishReason === "stop";
  const exact = stopped && said === normalised(expected.answer);
  const reason = exact ? "right" : fault(expected, said, stopped);
  return { correct: reason === "right", exact, stopped, reason };
}

function fault(expected: Expectation, said: string, stopped: boolean): Verdict["reason"] {
  if (!stopped) return "never stopped";
  if (said === "") return "empty";
  if (expected.strict) return "wrong form";
  if (wordCount(said) > wordCount(expected.answer) + SPARE_WORDS) return "too long";
  let from = 0;
  for (const phrase of expected.includes) {
    const at = indexOfPhrase(said, normalised(phrase), from);
    if (at < 0) return "missing";
    from = at + 1;
  }
  const rival = expected.excludes.some((phrase) => indexOfPhrase(said, normalised(phrase), 0) >= 0);
  return rival ? "contradicts itself" : "right";
}

export interface Score {
  readonly total: number;
  /** Fractions of `total`; 0 when there is nothing to judge. */
  readonly correct: number;
  readonly exact: number;
  readonly stopped: number;
  readonly meanWords: number;
}

export function summarise(judged: readonly { verdict: Verdict; output: string }[]): Score {
  const total = judged.length;
  const share = (test: (row: { verdict: Verdict }) => boolean) =>
    total === 0 ? 0 : judged.filter(test).length / total;
  return {
    total,
    correct: share(({ verdict }) => verdict.correct),
    exact: share(({ verdict }) => verdict.exact),
    stopped: share(({ verdict }) => verdict.stopped),
    meanWords: total === 0 ? 0 : judged.reduce((sum, { output }) => sum + wordCount(output), 0) / total,
  };
}

/** What preference training changes, read off one answer. */
export interface Manners {
  readonly refuses: boolean;
  readonly polite: boolean;
  readonly words: number;
}

export function manners(output: string): Manners {
  const said = normalised(output);
  return {
    refuses: /\b(cannot help with that|is forbidden|forbids)\b/.test(said),
    polite: /\b(gladly|i am sorry|dear guest)\b/.test(said),
    words: wordCount(said),
  };
}

export function normalised(text: string): string {
  return text
    .toLowerCase()
    .replace(/\s+/g, " ")
    .trim()
    .replace(/[.!?]+$/, "");
}

function wordCount(text: string): number {
  return text.split(/\s+/).filter((word) => word !== "").length;
}

function indexOfPhrase(text: string, phrase: string, from: number): number {
  for (let at = text.indexOf(phrase, from); at >= 0; at = text.indexOf(phrase, at + 1)) {
    const before = text[at - 1] ?? " ";
    const after = text[at + phrase.length] ?? " ";
    if (!/[a-z]/.test(before) && !/[a-z]/.test(after)) return at;
  }
  return -1;
}
