/** From logits to the next tokens. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { ModelError } from "../errors.js";
import { uniformAt } from "./random.js";
import type { Decoding, TokenLogprob } from "./requests.js";

/** How one sample of a request chooses; every field filled in. */
export interface Choice extends Required<Omit<Decoding, "topK">> {
  /** 0: all tokens. */
  topK: number;
  sample: number;
}

export function choiceOf(
  { temperature = 0, topP = 1, topK = 0, seed = 0 }: Decoding,
  sample: number,
): Choice {
  return { temperature, topP, topK, seed, sample };
}

/**
 * One token for each row. Logits are divided by the temperature, then top-k leaves the k highest, then top-p of these the fewest
 * whose probabilities reach p; equal logits stand in the order of their ids. A greedy row takes the first of all.
 * @param logits  [rows, vocab]
 * @param choices one a row, with how many tokens the sample has already
 */
export function chooseTokens(
  logits: Tensor,
  choices: readonly { choice: Choice; position: number }[],
): number[] {
  const numbers = (of: (choice: Choice, position: number) => number): Tensor =>
    torch.tensor(Float64Array.from(choices, ({ choice, position }) => of(choice, position)));
  // Where the logits are: a step's are too many to be sent to the host.
  const sample = logits.device === "cpu" ? torch.sampleRows : torch.sampleOnDevice;
  const ids = sample(
    logits,
    numbers(({ temperature }) => temperature),
    numbers(({ topP }) => topP),
    torch.tensor(Int32Array.from(choices, ({ choice }) => choice.topK)),
    numbers(({ temperature, seed, sample }, position) =>
      temperature === 0 ? 0 : uniformAt(seed, sample, position),
    ),
  ).toArray();
  const broken = ids.indexOf(-1);
  if (broken >= 0)
    throw new ModelError("ERR_LOGITS", "the model's logits are no numbers.", {
      where: `row ${broken} of ${ids.length} in this step, on ${logits.device}`,
      fix: "look at the weights: a model whose training diverged, or a file in the wrong dtype, does this.",
    });
  return ids;
}

/**
 * Log-probabilities under the logits as they are: of the chosen tokens, and of the `top` most likely ones, in nats.
 * @param logits [rows, vocab]
 */
export function chosenLogprobs(logits: Tensor, ids: readonly number[], top: number): TokenLogprob[] {
  const labels = torch.tensor(BigInt64Array.from(ids, BigInt), { device: logits.device });
  const chosen = torch.labelLogps_(logits, labels).toTypedArray() as Float32Array;
  if (top === 0) return ids.map((id, row) => ({ id, logp: chosen[row]!, top: [] }));
  const [values, indices] = logits.to({ dtype: "float32" }).logSoftmax(-1).topk(top);
  const logps = values.toTypedArray() as Float32Array;
  const topIds = indices.toArray();
  return ids.map((id, row) => ({
    id,
    logp: chosen[row]!,
    top: Array.from({ length: top }, (_, i) => ({
      id: topIds[row * top + i]!,
      logp: logps[row * top + i]!,
    })).sort((a, b) => b.logp - a.logp || a.id - b.id),
  }));
}
