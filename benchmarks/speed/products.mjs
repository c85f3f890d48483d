// The matrix products of a step and nothing else, with operands of the same shapes; and the rate at which memory is copied.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "../../packages/camelid/dist/index.js";
import * as torch from "../../packages/torch/dist/index.js";

const bf16 = (...shape) => torch.randn(shape).to({ dtype: "bfloat16" });

/** @returns config of a model folder and the shapes [out, in] of its projections, in order, and of its head */
export function shapesOf(folder) {
  const config = parseConfig(JSON.parse(readFileSync(join(folder, "config.json"), "utf8")));
  const { hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim } =
    config;
  const [queries, keys] = [numAttentionHeads * headDim, numKeyValueHeads * headDim];
  const layer = [
    [queries, hiddenSize],
    [keys, hiddenSize],
    [keys, hiddenSize],
    [hiddenSize, queries],
    [intermediateSize, hiddenSize],
    [intermediateSize, hiddenSize],
    [hiddenSize, intermediateSize],
  ];
  const projections = Array.from({ length: numHiddenLayers }, () => layer).flat();
  return { config, projections, head: [config.vocabSize, hiddenSize] };
}

/** @param most the largest number of tokens of a step */
export function products({ projections, head }, most, { rank = 0 } = {}) {
  const shapes = [...projections, head];
  const weights = shapes.map(([out, width]) => bf16(out, width));
  const operands = new Map();
  for (const width of new Set([...shapes.flat(), ...(rank ? [rank] : [])]))
    operands.set(width, bf16(most, width));
  const low = rank ? projections.map(([out, width]) => ({ a: bf16(rank, width), b: bf16(out, rank) })) : [];
  const of = (width, tokens) => operands.get(width).narrow(0, 0, tokens);

  /** Forward; with `gradients` of inputs as well, and with `trained` of weights. */
  function pass(weight, tokens, gradients, trained) {
    const [out, width] = weight.shape;
    const [x, g] = [of(width, tokens), of(out, tokens)];
    x.matmul(weight.t());
    if (gradients) g.matmul(weight);
    if (trained) g.t().matmul(x);
  }
  return {
    train(tokens, headTokens) {
      weights.forEach((weight, i) => {
        torch.tensorScope(() => {
          const isHead = i === projections.length;
          pass(weight, isHead ? headTokens : tokens, true, rank === 0);
          if (rank === 0 || isHead) return;
          pass(low[i].a, tokens, true, true);
          pass(low[i].b, tokens, true, true);
        });
      });
    },
    forward(tokens, headTokens) {
      weights.forEach((weight, i) => {
        torch.tensorScope(() => pass(weight, i === projections.length ? headTokens : tokens, false, false));
      });
    },
  };
}

/** Bytes read and written a second by a copy that the caches do not hold, the best of several. */
export function copyRate() {
  return torch.tensorScope(() => {
    const [from, to] = [torch.zeros([2 ** 25]), torch.zeros([2 ** 25])];
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 8; i++)
      best = Math.min(
        best,
        seconds(() => to.copy_(from)),
      );
    return (2 * from.numel * 4) / best;
  });
}

export function seconds(body) {
  const started = performance.now();
  body();
  return (performance.now() - started) / 1000;
}
