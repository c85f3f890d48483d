/**
 * Log-probabilities of given tokens, without ever holding the logits of a whole batch: they are computed a few hundred
 * tokens at a time, and where the gradient is not known beforehand a second time in the backward pass. SFT, DPO, evaluation and export checks all use these functions.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

/** Logits of this many bytes exist at once, or of as many as the sums take that a second chunk would need. */
const CHUNK_BYTES = 64 * 1024 * 1024;

/**
 * log p(label) under softmax(hidden @ weight^T), in fp32.
 * @param hidden [tokens, hidden]
 * @param weight [vocab, hidden]: the language-model head
 * @param labels [tokens] int64, each in [0, vocab)
 * @returns [tokens] fp32, in nats; differentiable in `hidden` and `weight`
 */
export function tokenLogps(hidden: Tensor, weight: Tensor, labels: Tensor): Tensor {
  // Under a frozen head each token's gradient is a vector that only has to be scaled later: kept, it saves a second pass.
  const keepsGradient = torch.isGradEnabled() && hidden.requiresGrad && !weight.requiresGrad;
  let perToken: Tensor | undefined; // [tokens, hidden]
  return torch.customFunction({
    inputs: [hidden, weight],
    forward: () => {
      if (keepsGradient) {
        const gradient = new HeadGradient(hidden, weight);
        const ones = torch.ones([hidden.shape[0]!], { dtype: "float32", device: hidden.device });
        const logps = overChunks(hidden, weight, (start, length) =>
          gradient.add(start, length, labels.narrow(0, start, length), ones.narrow(0, start, length)),
        );
        [perToken] = gradient.finish();
        return logps;
      }
      return overChunks(hidden, weight, (start, length) =>
        torch.labelLogps_(
          chunkLogits(hidden.narrow(0, start, length), weight),
          labels.narrow(0, start, length),
        ),
      );
    },
    backward: (gradOutput) => {
      if (perToken !== undefined) return [perToken.mul(gradOutput.unsqueeze(1)).to({ dtype: hidden.dtype })];
      const gradient = new HeadGradient(hidden, weight);
      overChunks(hidden, weight, (start, length) =>
        gradient.add(start, length, labels.narrow(0, start, length), gradOutput.narrow(0, start, length)),
      );
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
      if (wantsGradient) {
        const gradient = new HeadGradient(hidden, weight);
        const upstream = torch.full([hidden.shape[0]!], -scale, { dtype: "float32", device: hidden.device });
        logps = overChunks(hidden, weight, (start, length) =>
          gradient.add(start, length, labels.narrow(0, start, length), upstream.narrow(0, start, length)),
        );
        gradients = gradient.finish();
      } else {
        logps = tokenLogps(hidden, weight, labels);
      }
      return logps.sum().mul(-scale);
    },
    backward: (gradOutput) =>
      gradients.map((gradient) => gradient?.mul_(gradOutput.to({ dtype: gradient.dtype }))),
  });
  return { loss, logps: logps! };
}

/** Runs `body` on stretches of tokens, frees what each made, and joins the results. */
function overChunks(hidden: Tensor, weight: Tensor, body: (start: number, length: number) => Tensor): Tensor {
  const tokens = hidden.shape[0]!;
  const size = chunkTokens(tokens, weight);
  const parts: Tensor[] = [];
  for (let start = 0; start < tokens; start += size) {
    parts.push(torch.tensorScope(() => body(start, Math.min(size, tokens - start))));
  }
  return parts.length === 1 ? parts[0]! : torch.cat(parts);
}

/**
 * Tokens whose logits exist at once. The shares of several chunks in a trained head's gradient are added up in fp32: where
 * logits of all tokens are no larger than these sums, they go in one chunk.
 */
function chunkTokens(tokens: number, weight: Tensor): number {
  const bytes = areLogitsWidened(weight) ? 4 : torch.elementSize(weight.dtype);
  const chunk = Math.max(1, Math.floor(CHUNK_BYTES / bytes / weight.shape[0]!));
  const sums = weight.requiresGrad ? Math.floor((4 * weight.shape[1]!) / bytes) : 0;
  return tokens <= chunk + sums ? Math.max(1, tokens) : chunk;
}

/** Our kernels, of the CPU and of CUDA, read logits as they are; libtorch's operators widen them to fp32 on the way. */
function areLogitsWidened({ device }: Tensor): boolean {
  if (device === "cpu") return false;
  const { on, problem } = torch.cudaKernels();
  return !(device.startsWith("cuda") && on && problem === undefined);
}

/** [n, hidden] -> [n, vocab] */
function chunkLogits(hidden: Tensor, weight: Tensor): Tensor {
  return torch.linear(hidden.detach(), weight.detach());
}

/**
 * Gradient of the label log-probabilities, chunk by chunk: d logp / d logits = onehot(label) - softmax(logits).
 * Several chunks' shares in the weight's gradient are summed in fp32 whatever the weight's dtype.
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
    const isOneChunk = hidden.shape[0]! <= chunkTokens(hidden.shape[0]!, weight);
    this.#gradWeight = weight.requiresGrad
      ? torch.emptyLike(this.#weight, { dtype: isOneChunk ? weight.dtype : "float32" })
      : undefined;
  }

  /**
   * @param upstream [n] fp32: gradient of the loss in each token's log-probability
   * @returns the chunk's log-probabilities, which come with the gradient
   */
  add(start: number, length: number, labels: Tensor, upstream: Tensor): Tensor {
    const hidden = this.#hidden.narrow(0, start, length);
    const logits = chunkLogits(hidden, this.#weight);
    const logps = torch.labelLogps_(logits, labels, upstream);
    const gradLogits = logits; // the same memory, now with gradients in it
    this.#gradHidden?.narrow(0, start, length).copy_(gradLogits.matmul(this.#weight));
    if (this.#gradWeight !== undefined) {
      const share = gradLogits.t().matmul(hidden);
      if (start === 0) this.#gradWeight.copy_(share);
      else this.#gradWeight.add_(share);
    }
    return logps;
  }

  finish(): (Tensor | undefined)[] {
    return [this.#gradHidden, this.#gradWeight?.to({ dtype: this.#weight.dtype })];
  }
}
