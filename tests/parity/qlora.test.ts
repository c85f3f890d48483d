/** QLoRA as a whole: PEFT's adapter on a base that was quantised as bitsandbytes did it, and merged into it. */
import * as torch from "@camelid/torch";
import { beforeAll, expect, test } from "vitest";
import { loadAdapter } from "../../packages/camelid/src/adapters/adapter-file.js";
import { withoutAdapters } from "../../packages/camelid/src/adapters/lora.js";
import { mergeAdapters } from "../../packages/camelid/src/adapters/merge.js";
import type { LanguageModel } from "../../packages/camelid/src/model/language-model.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { packRows } from "../../packages/camelid/src/nn/packed-rows.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";

beforeAll(() => torch.setNumThreads(1));

const FP32 = { atol: 2e-5, rtol: 2e-5 };
const stored = readReferenceTensors("lora/fixtures/qlora.safetensors");
const { rows } = readReferenceJson<{ rows: { input_ids: number[] }[] }>("lora/fixtures/reference.json");

function expectLogits(model: LanguageModel, name: string): void {
  rows.forEach(({ input_ids }, i) => {
    const hidden = torch.noGrad(() => model.hiddenStates(packRows([input_ids], "cpu")));
    const logits = torch.noGrad(() => torch.linear(hidden, model.headWeight));
    expect(logits).toBeAllClose(stored.get(`${name}.${i}`), FP32);
  });
}

test("logits with the adapter on and off, and merged weights, are those of bitsandbytes and PEFT", () => {
  using _ = torch.tensorScope();
  const quantize = { doubleQuant: true, throughFp16: true };
  using model = loadModel(parityPath("lora/fixtures/base"), { dtype: "float32", quantize });
  loadAdapter(model, parityPath("lora/fixtures/adapter-all"));
  expectLogits(model, "logits_adapter_on");
  withoutAdapters(model, () => expectLogits(model, "logits_adapter_off"));
  mergeAdapters(
    model,
    rows.map(({ input_ids }) => input_ids),
  );
  expectLogits(model, "logits_adapter_on");
  const merged = stored.under("merged.");
  const parameters = model.namedParameters();
  expect(merged.size).toBe(14);
  for (const [name, weight] of merged)
    expect(parameters.get(name)!).toBeAllClose(weight, { atol: 1e-6, rtol: 1e-6 });
});
