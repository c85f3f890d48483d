/**
 * Scoring: a prompt is one sequence, which answers for the first token of every continuation; a continuation of more tokens is
 * a sequence of its own that finds the prompt in the cache. What prompts have in common is found there as well.
 */
import type { Queue } from "./engine.js";
import type { Score, ScoreOptions, ScoreRequest } from "./requests.js";
import type { ScoredSequence } from "./step.js";

export function scoreAll(
  queue: Queue,
  requests: readonly ScoreRequest[],
  { signal, onDone, onProgress }: ScoreOptions,
): Promise<Score[][]> {
  return new Promise((resolve, reject) => {
    const results: Score[][] = requests.map(() => []);
    const open = new Set<ScoredSequence>();
    let done = 0;
    let tokens = 0;
    const fail = (error: unknown): void => {
      signal?.removeEventListener("abort", abort);
      for (const sequence of open) queue.remove(sequence);
      open.clear();
      reject(error);
    };
    const abort = (): void => fail(signal!.reason);
    if (signal?.aborted) {
      abort();
      return;
    }

    const finish = (index: number): void => {
      done++;
      for (const { tokenLogps } of results[index]!) tokens += tokenLogps.length;
      try {
        onDone?.(index, results[index]!);
        onProgress?.({ done, total: requests.length, tokens });
      } catch (error) {
        fail(error);
        return;
      }
      if (done < requests.length) return;
      signal?.removeEventListener("abort", abort);
      resolve(results);
    };
    for (const [index, request] of requests.entries()) {
      const scores = request.continuations.map(
        ({ length }): Score => ({ logp: 0, tokenLogps: new Float32Array(length), isGreedy: true }),
      );
      results[index] = scores;
      const sequences = sequencesOf(request, scores, (ended) => {
        if (!open.delete(ended)) return; // the call has failed meanwhile
        queue.remove(ended);
        if (sequences.some((sequence) => open.has(sequence))) return;
        for (const score of scores) score.logp = score.tokenLogps.reduce((sum, logp) => sum + logp, 0);
        finish(index);
      });
      for (const sequence of sequences) open.add(sequence);
      for (const sequence of sequences) queue.add(sequence, fail);
      if (sequences.length === 0) queueMicrotask(() => finish(index));
    }
    if (requests.length === 0) resolve(results);
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

function sequencesOf(
  { promptIds, continuations }: ScoreRequest,
  scores: readonly Score[],
  onEnd: (sequence: ScoredSequence) => void,
): ScoredSequence[] {
  const prompt = Array.from(promptIds);
  const place = (continuation: number, token: number) => ({
    position: prompt.length - 1 + token,
    id: continuations[continuation]![token]!,
    continuation,
    token,
  });
  const firsts = continuations.flatMap(({ length }, i) => (length > 0 ? [place(i, 0)] : []));
  if (firsts.length === 0) return [];
  const sequences = [newSequence(prompt, firsts, scores, onEnd)];
  continuations.forEach((continuation, i) => {
    if (continuation.length < 2) return;
    // The last token is only asked about, nothing asks what follows it.
    const tokens = [...prompt, ...Array.from(continuation).slice(0, -1)];
    const rest = Array.from({ length: continuation.length - 1 }, (_, t) => place(i, t + 1));
    sequences.push(newSequence(tokens, rest, scores, onEnd));
  });
  return sequences;
}

function newSequence(
  tokens: number[],
  targets: readonly { position: number; id: number; continuation: number; token: number }[],
  scores: readonly Score[],
  onEnd: (sequence: ScoredSequence) => void,
): ScoredSequence {
  const sequence: ScoredSequence = {
    kind: "scored",
    tokens,
    computed: 0,
    blocks: [],
    nodes: [],
    targets,
    reusable: () => targets[0]!.position,
    take(target, logp, isBest) {
      const { continuation, token } = targets[target]!;
      const score = scores[continuation]!;
      score.tokenLogps[token] = logp;
      if (!isBest) score.isGreedy = false;
    },
    end: () => onEnd(sequence),
  };
  return sequence;
}
