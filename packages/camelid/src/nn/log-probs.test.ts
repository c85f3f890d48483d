/** Log-probabilities and their gradients against log-softmax in float64, in one stretch of tokens and in several. */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { scaledNll, tokenLogps } from "./log-probs.js";

const VOCABULARY = 160_000;
const HIDDEN = 6;
/** 104 tokens of this vocabulary are one stretch in fp32, 209 in bf16. */
const COUNTS: [string, number, DType][] = [
  ["one stretch, fp32", 40, "float32"],
  ["two stretches, fp32", 110, "float32"],
  ["one stretch, bf16", 110, "bfloat16"],
  ["two stretches, bf16", 215, "bfloat16"],
];

function inputs(tokens: number, dtype: DType): { hidden: Tensor; weight: Tensor; labels: Tensor } {
  torch.manualSeed(11);
  const leaf = (...shape: number[]): Tensor => {
    const x = torch.randn(shape).to({ dtype });
    x.requiresGrad = true;
    return x;
  };
  const [hidden, weight] = [leaf(tokens, HIDDEN), leaf(VOCABULARY, HIDDEN)];
  return { hidden, weight, labels: torch.randint(0, VOCABULARY, [tokens]) };
}

/** Sum of -logp / tokens with its gradients, in float64 from the same rounded numbers. */
function truth({ hidden, weight, labels }: ReturnType<typeof inputs>): Tensor[] {
  const [h, w] = [hidden, weight].map((x) => x.detach().to({ dtype: "float64" }));
  for (const leaf of [h!, w!]) leaf.requiresGrad = true;
  const logps = h!.matmul(w!.t()).logSoftmax(1).gather(1, labels.unsqueeze(1)).squeeze(1);
  const loss = logps.mean().neg();
  loss.backward();
  return [loss.detach(), logps.detach(), h!.grad!, w!.grad!];
}

/** Of the largest number. In fp32 a hidden state's gradient, a sum over the vocabulary that cancels, is no closer in ATen either. */
const TOLERANCES = { float32: { hidden: 1e-3, others: 1e-5 }, bfloat16: { hidden: 1.5e-2, others: 1.5e-2 } };

function expectClose(tensor: Tensor | undefined, expected: Tensor, tolerance: number): void {
  const difference = tensor!.to({ dtype: "float64" }).sub(expected).abs().amax().item();
  expect(difference / expected.abs().amax().item()).toBeLessThan(tolerance);
}

test.each(COUNTS)("%s: loss, log-probabilities and gradients equal log-softmax", (_name, tokens, dtype) => {
  using _ = torch.tensorScope();
  const made = inputs(tokens, dtype);
  const [nll, perToken, gradHidden, gradWeight] = truth(made) as [Tensor, Tensor, Tensor, Tensor];
  const { hidden, weight, labels } = made;
  const tolerance = TOLERANCES[dtype as "float32" | "bfloat16"];
  const expectGradients = (): void => {
    expectClose(hidden.grad, gradHidden, tolerance.hidden);
    expectClose(weight.grad, gradWeight, tolerance.others);
    expect(weight.grad!.dtype).toBe(dtype);
    hidden.grad = weight.grad = undefined;
  };
  const { loss, logps } = scaledNll(hidden, weight, labels, 1 / tokens);
  loss.backward();
  expectClose(loss.detach(), nll, tolerance.others);
  expectClose(logps, perToken, tolerance.others);
  expectGradients();
  tokenLogps(hidden, weight, labels).mean().neg().backward();
  expectGradients();
});

test("a frozen head gets no gradient, and what comes before it gets the same", () => {
  using _ = torch.tensorScope();
  const { hidden, weight, labels } = inputs(130, "float32");
  scaledNll(hidden, weight, labels, 1).loss.backward();
  const expected = hidden.grad!;
  hidden.grad = weight.grad = undefined;
  weight.requiresGrad = false;
  scaledNll(hidden, weight, labels, 1).loss.backward();
  expect(weight.grad).toBeUndefined();
  expect(hidden.grad!.equal(expected)).toBe(true);
});
