import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { HostStash } from "../nn/host-stash.js";
import { scaledNll } from "../nn/log-probs.js";
import { packRows } from "../nn/packed-rows.js";
import { recompute } from "../nn/recompute.js";
import { parseConfig } from "./config.js";
import { initModel } from "./load.js";

const config = parseConfig({
  model_type: "llama",
  vocab_size: 64,
  hidden_size: 64,
  intermediate_size: 256,
  num_hidden_layers: 8,
  num_attention_heads: 4,
  num_key_value_heads: 2,
});
const rows = [96, 160].map((length, r) => Array.from({ length }, (_, i) => (i * 7 + r) % 64));

/** Loss, gradients and peak bytes above the weights, of one forward and backward pass. */
function pass(dtype: "float32" | "bfloat16", activationCheckpointing: boolean, activationOffload = false) {
  torch.manualSeed(5);
  using model = initModel(config, { dtype, trainable: true });
  model.activationCheckpointing = activationCheckpointing;
  model.activationOffload = activationOffload;
  torch.resetPeakMemory();
  const before = torch.memoryStats().liveBytes;
  using scope = torch.tensorScope();
  const hidden = model.hiddenStates(packRows(rows, "cpu"));
  const labels = torch.tensor(BigInt64Array.from(rows.flat(), BigInt));
  const { loss } = scaledNll(hidden, model.headWeight, labels, 1 / labels.numel);
  loss.backward();
  const peakBytes = torch.memoryStats().peakBytes - before;
  const gradients = [...model.namedParameters()].map(
    ([name, weight]) => [name, weight.grad!.toBytes()] as const,
  );
  for (const weight of model.namedParameters().values()) weight.grad = undefined;
  const value = loss.item();
  scope[Symbol.dispose]();
  return {
    loss: value,
    gradients: new Map(gradients),
    peakBytes,
    leaked: torch.memoryStats().liveBytes - before,
  };
}

torch.setNumThreads(1); // each thread has buffers of its own, and which threads work is chance

test.each(["float32", "bfloat16"] as const)(
  "activation checkpointing in %s: same loss and gradients to the bit, a fraction of the memory, nothing left behind",
  (dtype) => {
    const plain = pass(dtype, false);
    const checkpointed = pass(dtype, true);
    expect(checkpointed.loss).toBe(plain.loss);
    for (const [name, bytes] of plain.gradients)
      expect(Buffer.compare(checkpointed.gradients.get(name)!, bytes), name).toBe(0);
    expect(checkpointed.peakBytes).toBeLessThan(0.6 * plain.peakBytes);
    expect(checkpointed.leaked).toBe(plain.leaked);
  },
);

test("activation offload: same loss and gradients to the bit, nothing left behind", () => {
  const plain = pass("float32", false);
  const offloaded = pass("float32", true, true);
  expect(offloaded.loss).toBe(plain.loss);
  for (const [name, bytes] of plain.gradients)
    expect(Buffer.compare(offloaded.gradients.get(name)!, bytes), name).toBe(0);
  expect(offloaded.leaked).toBe(plain.leaked);
});

test("with a stash a block's input is freed after the block, and the one before is on its way back early", () => {
  using _ = torch.tensorScope();
  const weight = torch.ones([4]);
  weight.requiresGrad = true;
  const stash = new HostStash();
  const first = weight.mul(2);
  const second = recompute((x) => x.mul(weight), first, stash);
  const third = recompute((x) => x.mul(weight), second, stash);
  expect([first, second, third].map(({ isDisposed }) => isDisposed)).toEqual([true, true, false]);
  third.sum().backward();
  expect(weight.grad!.toArray()).toEqual([6, 6, 6, 6]); // of 2 w^3
});

test("a recomputed block draws the same random numbers, and the stream after it is as if there were no recomputation", () => {
  const run = (block: typeof recompute) => {
    using _ = torch.tensorScope();
    torch.manualSeed(3);
    const x = torch.ones([100]);
    x.requiresGrad = true;
    block((input) => input.mul(torch.rand([100])), x)
      .sum()
      .backward();
    return { gradient: x.grad!.toArray(), next: torch.rand([1]).item() };
  };
  expect(run(recompute)).toEqual(run((body, x) => body(x)));
});
