import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadAdapter, saveAdapter } from "../../packages/camelid/src/adapters/adapter-file.js";
import { withoutAdapters } from "../../packages/camelid/src/adapters/lora.js";
import { mergeAdapters } from "../../packages/camelid/src/adapters/merge.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import {
  backwardOfTokenMean,
  greedyWithCache,
  loadTinyLlama,
  packedLogits,
  type TokenRow,
} from "./tiny-llama.js";

const FP32 = { atol: 2e-5, rtol: 2e-5 };
const { rows, adapters } = readReferenceJson<{
  rows: TokenRow[];
  adapters: Record<string, { scaling: number; loss: number; greedy: number[]; merged_parameters: string[] }>;
}>("lora/fixtures/reference.json");
const ids = rows.map((row) => row.input_ids);
const off = readReferenceTensors("lora/fixtures/base.safetensors");

const scratch = mkdtempSync(join(tmpdir(), "camelid-lora-"));
afterAll(() => rmSync(scratch, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

describe.each(Object.entries(adapters))("PEFT's %s", (name, expected) => {
  const stored = readReferenceTensors(`lora/fixtures/${name}.safetensors`);
  const folder = parityPath(`lora/fixtures/${name}`);
  const load = (options = {}) => {
    const model = loadTinyLlama("lora/fixtures/base");
    return { model, adapter: loadAdapter(model, folder, options) };
  };

  test("gives PEFT's logits switched on, the base's switched off, and greedy tokens with a cache", () => {
    using _ = torch.tensorScope();
    const { model, adapter } = load();
    using _model = model;
    expect(adapter.scaling).toBe(expected.scaling);
    packedLogits(model, ids).forEach((logits, i) => {
      expect(logits).toBeAllClose(stored.get(`logits.${i}`), FP32);
    });
    const without = withoutAdapters(model, () => packedLogits(model, ids));
    without.forEach((logits, i) => {
      expect(logits).toBeAllClose(off.get(`logits.${i}`), FP32);
    });
    expect(adapter.enabled).toBe(true);
    expect(greedyWithCache(model, ids[1]!, expected.greedy.length)).toEqual(expected.greedy);
  });

  test("gets PEFT's gradients, and the frozen weights get none", () => {
    using _ = torch.tensorScope();
    const { model, adapter } = load({ trainable: true });
    using _model = model;
    expect(backwardOfTokenMean(model, rows).loss).toBeCloseTo(expected.loss, 5);
    const gradients = stored.under("grad.base_model.model.");
    const parameters = adapter.namedParameters();
    expect([...parameters.keys()].sort()).toEqual([...gradients.keys()].sort());
    for (const [key, parameter] of parameters) {
      expect(parameter.grad!, key).toBeAllClose(gradients.get(key)!, FP32);
    }
    for (const [key, weight] of model.namedParameters()) expect(weight.grad, key).toBeUndefined();
  });

  test("merges to PEFT's weights, and the logits stay", () => {
    using _ = torch.tensorScope();
    const { model } = load();
    using _model = model;
    expect(mergeAdapters(model, ids)).toBeLessThan(2e-5);
    const weights = model.namedParameters();
    for (const key of expected.merged_parameters) {
      expect(weights.get(key)!, key).toBeAllClose(stored.get(`merged.${key}`), { atol: 1e-6, rtol: 1e-6 });
    }
    packedLogits(model, ids).forEach((logits, i) => {
      expect(logits).toBeAllClose(stored.get(`logits.${i}`), FP32);
    });
  });

  test("is written as PEFT wrote it", () => {
    using _ = torch.tensorScope();
    const { model, adapter } = load();
    using _model = model;
    const written = join(scratch, name);
    saveAdapter(adapter, written, { model: "tiny-llama" });
    const original = torch.readSafetensors(join(folder, "adapter_model.safetensors"));
    const copy = torch.readSafetensors(join(written, "adapter_model.safetensors"));
    expect([...copy.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort());
    for (const [key, tensor] of original.tensors)
      expect(tensor.equal(copy.tensors.get(key)!), key).toBe(true);
    const read = (at: string) => JSON.parse(readFileSync(join(at, "adapter_config.json"), "utf8"));
    expect(read(folder)).toMatchObject(read(written));
  });
});
