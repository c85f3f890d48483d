/**
 * Whole models with our CUDA kernels in the place of the CPU's, against the stored numbers of transformers, bitsandbytes and PEFT. No GPU:
 * the kernels' sources run on a CPU, thread by thread (packages/torch/src/fixtures/cuda-emulator.cc).
 */
import * as torch from "@camelid/torch";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { loadAdapter } from "../../packages/camelid/src/adapters/adapter-file.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { quantizeNf4 } from "../../packages/camelid/src/nn/nf4-weight.js";
import { installEmulator } from "../../packages/torch/src/fixtures/emulate-cuda.js";
import "../close.js";
import { equalsTransformers } from "./model-parity.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import { packedLogits } from "./tiny-llama.js";

beforeAll(() => {
  torch.setNumThreads(1);
  installEmulator();
  torch.useCudaKernels(true);
});
afterEach(() => expect(torch.cudaKernels()).toEqual({ on: true, problem: undefined }));
afterAll(() => void torch.useCudaKernels(false));

describe.each(["gqa-llama3-bf16-sharded-v4"])("%s", (name) => {
  equalsTransformers(`llama/fixtures/${name}`);
});

const stored = readReferenceTensors("lora/fixtures/nf4.safetensors");
const { matrices } = readReferenceJson<{
  matrices: Record<string, { shape: [number, number]; offset: number }>;
}>("lora/fixtures/nf4.json");

describe.each(Object.entries(matrices))("NF4 of %s", (name, { shape, offset }) => {
  test("has bitsandbytes' codes and restored values", () => {
    using _ = torch.tensorScope();
    const source = torch.tensor(stored.get(`${name}.source`).data).view(shape);
    const weight = quantizeNf4(source, { doubleQuant: true, throughFp16: true }, name);
    expect(weight.packed.toTypedArray()).toEqual(stored.get(`${name}.packed`).data);
    expect(weight.nested!.offset).toBeAllClose(offset, { atol: 5e-7, rtol: 1e-6 });
    expect(weight.dequantize("float32")).toBeAllClose(stored.get(`${name}.restored`), {
      atol: 5e-7,
      rtol: 1e-6,
    });
  });
});

test("a model in 4 bits with an adapter has PEFT's logits, whole rows and a few tokens at a time", () => {
  using _ = torch.tensorScope();
  const logits = readReferenceTensors("lora/fixtures/qlora.safetensors");
  const { rows } = readReferenceJson<{ rows: { input_ids: number[] }[] }>("lora/fixtures/reference.json");
  const quantize = { doubleQuant: true, throughFp16: true };
  using model = loadModel(parityPath("lora/fixtures/base"), { dtype: "float32", quantize });
  loadAdapter(model, parityPath("lora/fixtures/adapter-all"));
  const limits = { atol: 2e-5, rtol: 2e-5 };
  rows.forEach(({ input_ids }, i) => {
    const expected = logits.get(`logits_adapter_on.${i}`);
    const [whole] = packedLogits(model, [input_ids]) as [torch.Tensor];
    expect(whole).toBeAllClose(expected, limits);
    // At most eight tokens: the product reads the codes themselves.
    const few = Math.min(8, input_ids.length);
    const [beginning] = packedLogits(model, [input_ids.slice(0, few)]) as [torch.Tensor];
    expect(
      beginning
        .sub(whole.narrow(0, 0, few))
        .abs()
        .amax()
        .item(),
    ).toBeLessThan(2e-5);
  });
});
