import * as torch from "@camelid/torch";
import { describe, expect, test } from "vitest";
import { scaledNll, tokenLogps } from "../../packages/camelid/src/nn/log-probs.js";
import "../close.js";
import { type ReferenceTensor, readReferenceJson, readReferenceTensors } from "./reference.js";

// The references are float64; what is compared is fp32 arithmetic on the same numbers.
const FP32 = { atol: 2e-6, rtol: 2e-6 };
const stored = readReferenceTensors("losses/fixtures/token-logps.safetensors");
const scalars = readReferenceJson<{
  loss: number;
  trained_tokens: number;
  extreme: { logits: number[][]; logps: number[][] };
}>("losses/fixtures/token-logps.json");

const HIDDEN = 6;
const fp32 = (tensor: ReferenceTensor): torch.Tensor =>
  torch.tensor(Float32Array.from(tensor.data), { shape: tensor.shape });

/** Hidden states of the predicting positions, the head, and the ids that follow. */
function inputs(requiresGrad: boolean) {
  const [batch, length] = stored.get("input_ids").shape as [number, number];
  const hidden = fp32(stored.get("hidden"));
  const weight = fp32(stored.get("weight"));
  hidden.requiresGrad = requiresGrad;
  weight.requiresGrad = requiresGrad;
  const predicting = hidden.narrow(1, 0, length - 1).reshape([batch * (length - 1), HIDDEN]);
  const next = torch
    .tensor(Array.from(stored.get("input_ids").data), { dtype: "int64" })
    .view([batch, length])
    .narrow(1, 1, length - 1)
    .reshape([-1]);
  return { hidden, weight, predicting, next };
}

/** Places among the predictions whose label is trained. */
function trainedPlaces(): number[] {
  const [batch, length] = stored.get("labels").shape as [number, number];
  const labels = Array.from(stored.get("labels").data);
  return Array.from({ length: batch * (length - 1) }, (_, place) => place).filter(
    (place) => labels[Math.floor(place / (length - 1)) * length + (place % (length - 1)) + 1] !== -100,
  );
}

describe("token log-probabilities", () => {
  test("equal log-softmax at the next id, computed in float64", () => {
    using _ = torch.tensorScope();
    const { weight, predicting, next } = inputs(false);
    const logps = tokenLogps(predicting, weight, next).view(stored.get("token_logps").shape);
    expect(logps).toBeAllClose(stored.get("token_logps"), FP32);
  });

  test("do not overflow where exp() would", () => {
    using _ = torch.tensorScope();
    // An identity head makes the hidden states the logits.
    const { logits, logps } = scalars.extreme;
    logits.forEach((row, index) => {
      const hidden = torch.tensor([row, row, row]);
      const labels = torch.tensor([0, 1, 2], { dtype: "int64" });
      // As exact as fp32 holds the largest logit.
      const atol = 1e-6 + 2 ** -23 * Math.max(...row.map(Math.abs));
      expect(tokenLogps(hidden, torch.eye(3), labels)).toBeAllClose(logps[index]!, { atol, rtol: 1e-6 });
    });
  });

  test("give the same gradient under a frozen head", () => {
    using _ = torch.tensorScope();
    const { hidden, weight, predicting, next } = inputs(true);
    weight.requiresGrad = false;
    const trained = torch.tensor(trainedPlaces(), { dtype: "int64" });
    const logps = tokenLogps(predicting.indexSelect(0, trained), weight, next.indexSelect(0, trained));
    logps
      .sum()
      .mul(-1 / trained.numel)
      .backward();
    expect(hidden.grad!).toBeAllClose(stored.get("grad.hidden"), FP32);
    expect(weight.grad).toBeUndefined();
  });

  const ways = {
    "through tokenLogps": (hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, scale: number) =>
      tokenLogps(hidden, weight, labels).sum().mul(-scale),
    "through scaledNll": (hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, scale: number) =>
      scaledNll(hidden, weight, labels, scale).loss,
  };
  test.each(Object.entries(ways))("give the token-mean loss and its gradients %s", (_name, lossOf) => {
    using _ = torch.tensorScope();
    const { hidden, weight, predicting, next } = inputs(true);
    const trained = torch.tensor(trainedPlaces(), { dtype: "int64" });
    expect(trained.numel).toBe(scalars.trained_tokens);
    const loss = lossOf(
      predicting.indexSelect(0, trained),
      weight,
      next.indexSelect(0, trained),
      1 / trained.numel,
    );
    loss.backward();
    expect(loss).toBeAllClose(scalars.loss, FP32);
    expect(hidden.grad!).toBeAllClose(stored.get("grad.hidden"), FP32);
    expect(weight.grad!).toBeAllClose(stored.get("grad.weight"), FP32);
  });
});
