/**
 * Log-probabilities of given tokens, without ever holding the logits of a whole batch: they are computed a few hundred
 * tokens at a time, and a second time in the backward pass. SFT, DPO, evaluation and export checks all use these functions.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/** Logits of this many elements exist at once: 64 MB in fp32. */
const CHUNK_ELEMENTS = 16 * 1024 * 1024;

/**
 * log p(label) under softmax(hidden @ weight^T), in fp32.
 * @param hidden [tokens, hidden]
 * @param weight [vocab, hidden]: the language-model head
 * @param labels [tokens] int64, each in [0, vocab)
 * @returns [tokens] fp32, in nats; differentiable in `hidden` and `weight`
 */
export function tokenLogps(hidden: Tensor, weight: Tensor, labels: Tensor): Tensor {
  return torch.customFunction({
    inputs: [hidden, weight, labels],
    forward: () => {
      const parts = chunks(hidden, weight).map(({ start, length }) =>
        torch.tensorScope(() => {
          const logits = chunkLogits(hidden.narrow(0, start, length), weight);
          return labelLogps(logits, labels.narrow(0, start, length));
        }),
      );
      return torch.cat(parts);
    },
    backward: (gradOutput) => {
      const gradient = new HeadGradient(hidden, weight);
      for (const { start, length } of chunks(hidden, weight)) {
        using _ = torch.tensorScope();
        const logits = chunkLogits(hidden.narrow(0, start, length), weight);
        gradient.add(
          start,
          length,
          logits,
          labels.narrow(0, start, length),
          gradOutput.narrow(0, start, length),
        );
      }
      return gradient.finish();
    },
  });
}

export interface NllResult {
  /** Scalar fp32: sum over tokens of -log p(label) * scale. Differentiable. */
  loss: Tensor;
  /** [tokens] fp32, detached. */
  logps: Tensor;
}

/**
 * The scaled negative log-likelihood of a stretch of tokens. Because its gradient is known before the backward pass, up to
 * one factor, the logits are computed once and not twice.
 * @param scale one over the number of trained tokens of the whole optimizer step, for a token mean
 */
export function scaledNll(hidden: Tensor, weight: Tensor, labels: Tensor, scale: number): NllResult {
  let gradients: readonly (Tensor | undefined)[] = [];
  let logps: Tensor | undefined;
  const wantsGradient = torch.isGradEnabled() && (hidden.requiresGrad || weight.requiresGrad);
  const loss = torch.customFunction({
    inputs: [hidden, weight],
    forward: () => {
      const gradient = wantsGradient ? new HeadGradient(hidden, weight) : undefined;
      const upstream = torch.full([hidden.shape[0]!], -scale, { dtype: "float32", device: hidden.device });
      const parts = chunks(hidden, weight).map(({ start, length }) =>
        torch.tensorScope(() => {
          const target = labels.narrow(0, start, length);
          const logits = chunkLogits(hidden.narrow(0, start, length), weight);
          const part = labelLogps(logits, target);
          gradient?.add(start, length, logits, target, upstream.narrow(0, start, length));
          return part;
        }),
      );
      gradients = gradient?.finish() ?? [];
      logps = torch.cat(parts);
      return logps.sum().mul(-scale);
    },
    backward: (gradOutput) =>
      gradients.map((gradient) => gradient?.mul_(gradOutput.to({ dtype: gradient.dtype }))),
  });
  return { loss, logps: logps! };
}

function chunks(hidden: Tensor, weight: Tensor): { start: number; length: number }[] {
  const tokens = hidden.shape[0]!;
  const size = Math.max(1, Math.floor(CHUNK_ELEMENTS / weight.shape[0]!));
  const parts: { start: number; length: number }[] = [];
  for (let start = 0; start < tokens; start += size)
    parts.push({ start, length: Math.min(size, tokens - start) });
  return parts;
}

/**
 * [n, hidden] -> [n, vocab] fp32, shifted so that the largest of each row is 0: an offset that all logits share would cost
 * digits in the difference below, and changes neither log-probabilities nor gradients.
 */
function chunkLogits(hidden: Tensor, weight: Tensor): Tensor {
  const logits = torch.linear(hidden.detach(), weight.detach()).to({ dtype: "float32" });
  return logits.sub_(logits.amax([1], true));
}

/** [n, vocab], [n] -> [n] */
function labelLogps(logits: Tensor, labels: Tensor): Tensor {
  return logits
    .gather(1, labels.unsqueeze(1))
    .squeeze(1)
    .sub(logits.logsumexp([1]));
}

/**
 * Gradient of the label log-probabilities, chunk by chunk: d logp / d logits = onehot(label) - softmax(logits).
 * The weight's share is summed in fp32 whatever the weight's dtype: many chunks add into it.
 */
class HeadGradient {
  readonly #hidden: Tensor;
  readonly #weight: Tensor;
  readonly #gradHidden: Tensor | undefined;
  readonly #gradWeight: Tensor | undefined;

  constructor(hidden: Tensor, weight: Tensor) {
    this.#hidden = hidden.detach();
    this.#weight = weight.detach();
    this.#gradHidden = hidden.requiresGrad ? torch.emptyLike(this.#hidden) : undefined;
    this.#gradWeight = weight.requiresGrad ? torch.zerosLike(this.#weight, { dtype: "float32" }) : undefined;
  }

  /** @param upstream [n] fp32: gradient of the loss in each token's log-probability */
  add(start: number, length: number, logits: Tensor, labels: Tensor, upstream: Tensor): void {
    const column = upstream.unsqueeze(1);
    const gradLogits = logits
      .softmax(1)
      .mul_(column.neg())
      .scatterAdd_(1, labels.unsqueeze(1), column)
      .to({ dtype: this.#weight.dtype });
    this.#gradHidden?.narrow(0, start, length).copy_(gradLogits.matmul(this.#weight));
    this.#gradWeight?.add_(gradLogits.t().matmul(this.#hidden.narrow(0, start, length)));
  }

  finish(): (Tensor | undefined)[] {
    return [this.#gradHidden, this.#gradWeight?.to({ dtype: this.#weight.dtype })];
  }
}
