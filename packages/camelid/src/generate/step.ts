/** One pass of the model over the planned rows of a step, and what it says about the places that somebody asked for. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import type { KvBlocks } from "../model/kv-cache.js";
import type { LanguageModel } from "../model/language-model.js";
import type { PackedRows } from "../nn/packed-rows.js";
import type { TokenLogprob } from "./requests.js";
import { type Choice, chooseTokens, chosenLogprobs } from "./sampling.js";
import type { PlannedRow, Sequence } from "./scheduler.js";

/** A text that is being written. */
export interface WrittenSequence extends Sequence {
  kind: "written";
  promptLength: number;
  choice: Choice;
  /** undefined: no log-probabilities wanted. */
  topLogprobs: number | undefined;
  take(id: number, logprob: TokenLogprob | undefined): void;
}

/** A text that is being scored. */
export interface ScoredSequence extends Sequence {
  kind: "scored";
  /** What is asked, in the order of positions: is `id` what follows the token at `position`? */
  targets: readonly { position: number; id: number }[];
  take(target: number, logp: number, isBest: boolean): void;
  /** All of the text has been computed. */
  end(): void;
}

export type EngineSequence = WrittenSequence | ScoredSequence;

/** What a step found out, to be handed over when its rows are in the books. */
export type Outcome = () => void;

export function runStep(
  model: LanguageModel,
  blocks: KvBlocks,
  rows: readonly PlannedRow<EngineSequence>[],
): Outcome[] {
  return torch.noGrad(() => {
    using _ = torch.tensorScope();
    const hidden = model.hiddenStates(packStep(model, rows), blocks.rows(rows));
    return [...writtenOutcomes(model, hidden, rows), ...scoredOutcomes(model, hidden, rows)];
  });
}

/**
 * libtorch multiplies fewer than 4 fp32 rows by other kernels than more of them, and shares rows out to threads, so that a
 * thread may meet such a rest: the last bits of a token would depend on its neighbours. Whole tiles of 16 rows for every
 * 4 threads are always multiplied alike (tests/parity/generate-batch.test.ts).
 */
export function rowTile({ device, dtype }: LanguageModel): number {
  return device === "cpu" && dtype === "float32" ? 16 * Math.ceil(torch.getNumThreads() / 4) : 1;
}

const padded = (count: number, tile: number): number => Math.ceil(count / tile) * tile;

function packStep(model: LanguageModel, rows: readonly PlannedRow<EngineSequence>[]): PackedRows {
  const tokens = rows.reduce((sum, { count }) => sum + count, 0);
  const total = padded(tokens, rowTile(model));
  const ids = new BigInt64Array(total);
  const positions = new BigInt64Array(total);
  let at = 0;
  for (const { sequence, position, count } of rows) {
    for (let i = position; i < position + count; i++, at++) {
      ids[at] = BigInt(sequence.tokens[i]!);
      positions[at] = BigInt(i);
    }
  }
  return {
    inputIds: torch.tensor(ids, { device: model.device }),
    positions: torch.tensor(positions, { device: model.device }),
    lengths: [...rows.map(({ count }) => count), ...(total > tokens ? [total - tokens] : [])],
  };
}

/** [places, vocab]; padded like the step itself, the rest is cut off. */
function logitsAt(model: LanguageModel, hidden: Tensor, places: readonly number[]): Tensor {
  const index = new BigInt64Array(padded(places.length, rowTile(model)));
  places.forEach((place, i) => {
    index[i] = BigInt(place);
  });
  const chosen = hidden.indexSelect(0, torch.tensor(index, { device: model.device }));
  return torch.linear(chosen, model.headWeight).narrow(0, 0, places.length);
}

function writtenOutcomes(
  model: LanguageModel,
  hidden: Tensor,
  rows: readonly PlannedRow<EngineSequence>[],
): Outcome[] {
  const places: number[] = [];
  const sequences: WrittenSequence[] = [];
  let end = 0;
  for (const { sequence, position, count } of rows) {
    end += count;
    if (sequence.kind !== "written" || position + count < sequence.tokens.length) continue;
    places.push(end - 1);
    sequences.push(sequence);
  }
  return places.length === 0 ? [] : chosenOutcomes(logitsAt(model, hidden, places), sequences);
}

/** @param logits [sequences, vocab]: what may follow each */
export function chosenOutcomes(logits: Tensor, sequences: readonly WrittenSequence[]): Outcome[] {
  const ids = chooseTokens(
    logits,
    sequences.map(({ choice, tokens, promptLength }) => ({ choice, position: tokens.length - promptLength })),
  );
  const top = Math.max(-1, ...sequences.map(({ topLogprobs }) => topLogprobs ?? -1));
  const logprobs = top < 0 ? [] : chosenLogprobs(logits, ids, top);
  return sequences.map((sequence, i) => {
    const { topLogprobs } = sequence;
    const all = logprobs[i];
    const own = topLogprobs === undefined ? undefined : { ...all!, top: all!.top.slice(0, topLogprobs) };
    return () => sequence.take(ids[i]!, own);
  });
}

/** Logits of this many elements exist at once: 64 MB in fp32. */
const LOGIT_ELEMENTS = 16 * 1024 * 1024;

function scoredOutcomes(
  model: LanguageModel,
  hidden: Tensor,
  rows: readonly PlannedRow<EngineSequence>[],
): Outcome[] {
  const asked: { sequence: ScoredSequence; target: number; id: number; place: number }[] = [];
  const outcomes: Outcome[] = [];
  let start = 0;
  for (const { sequence, position, count } of rows) {
    if (sequence.kind === "scored") {
      sequence.targets.forEach((wanted, target) => {
        const offset = wanted.position - position;
        if (offset >= 0 && offset < count)
          asked.push({ sequence, target, id: wanted.id, place: start + offset });
      });
      if (position + count === sequence.tokens.length) outcomes.push(() => sequence.end());
    }
    start += count;
  }
  const tile = rowTile(model);
  const size = Math.max(tile, Math.floor(LOGIT_ELEMENTS / model.headWeight.shape[0]! / tile) * tile);
  const found: Outcome[] = [];
  for (let at = 0; at < asked.length; at += size) {
    const part = asked.slice(at, at + size);
    using _ = torch.tensorScope();
    // Several continuations may follow one place: its logits are computed once.
    const places = [...new Set(part.map(({ place }) => place))];
    const row = new Map(places.map((place, i) => [place, i]));
    const once = logitsAt(model, hidden, places);
    const best = once.argmax(-1).toArray();
    const rowsOf = part.map(({ place }) => row.get(place)!);
    const logits =
      places.length === part.length
        ? once
        : once.indexSelect(0, torch.tensor(BigInt64Array.from(rowsOf, BigInt), { device: model.device }));
    const labels = torch.tensor(
      BigInt64Array.from(part, ({ id }) => BigInt(id)),
      { device: model.device },
    );
    const logps = torch.labelLogps_(logits, labels).toTypedArray() as Float32Array;
    part.forEach(({ sequence, target, id }, i) => {
      found.push(() => sequence.take(target, logps[i]!, best[rowsOf[i]!] === id));
    });
  }
  return [...found, ...outcomes];
}
