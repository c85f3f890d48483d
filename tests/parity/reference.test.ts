import { describe, expect, test } from "vitest";
import "../close.js";
import { readReferenceJson, readReferenceTensors } from "./reference.js";

interface LlamaReference {
  rows: { input_ids: number[]; labels: number[] }[];
  loss: number;
  trained_tokens: number;
}

// The files, their readers and what the README says of them: checked without any engine.
describe("the stored references", () => {
  test("token log-probabilities are the log-softmax of the logits at the next id", () => {
    const { rows } = readReferenceJson<LlamaReference>(
      "llama/fixtures/gqa-tied-llama3-bf16-v5/reference.json",
    );
    const stored = readReferenceTensors("llama/fixtures/gqa-tied-llama3-bf16-v5/reference.safetensors");
    rows.forEach(({ input_ids }, index) => {
      const { data, shape } = stored.get(`logits.${index}`);
      const vocabSize = shape[1]!;
      const expected = input_ids.slice(1).map((id, position) => {
        const logits = Array.from(data.subarray(position * vocabSize, (position + 1) * vocabSize));
        return logits[id]! - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      });
      expect(stored.get(`token_logps.${index}`)).toBeAllClose(expected, { atol: 2e-6, rtol: 0 });
    });
  });

  test("the loss is the mean of -log p over the labels that are not -100, first label left out", () => {
    const reference = readReferenceJson<LlamaReference>(
      "llama/fixtures/gqa-llama3-bf16-sharded-v4/packed.json",
    );
    const stored = readReferenceTensors("llama/fixtures/gqa-llama3-bf16-sharded-v4/packed.safetensors");
    const trained = reference.rows.flatMap(({ labels }, index) => {
      const logps = stored.get(`token_logps.${index}`).data;
      return labels.slice(1).flatMap((label, position) => (label === -100 ? [] : [-logps[position]!]));
    });
    expect(trained).toHaveLength(reference.trained_tokens);
    const loss = trained.reduce((sum, value) => sum + value, 0) / trained.length;
    expect(loss).toBeAllClose(reference.loss, { atol: 0, rtol: 1e-6 });
  });

  test("half-precision sources are widened exactly", () => {
    const stored = readReferenceTensors("lora/fixtures/nf4.safetensors");
    for (const [name, dtype, bits] of [
      ["two-nested-blocks", "BF16", 8],
      ["odd-count", "F16", 11],
    ] as const) {
      const { data, dtype: stated } = stored.get(`${name}.source`);
      expect(stated).toBe(dtype);
      for (const value of data) {
        // Written with `bits` significant binary digits, or fewer below the smallest normal number.
        const unit =
          2 ** Math.max(Math.floor(Math.log2(Math.abs(value))) - bits + 1, dtype === "F16" ? -24 : -133);
        expect(value / unit).toBe(Math.round(value / unit));
      }
    }
    const restored = stored.get("odd-count.restored").data;
    expect(stored.get("odd-count.source")).toBeAllClose(
      { shape: [5, 13], data: restored },
      { atol: 0.4, rtol: 0 },
    );
  });

  test("a name that is not there is an error that lists what is", () => {
    const stored = readReferenceTensors("losses/fixtures/token-logps.safetensors");
    expect(() => stored.get("logitz")).toThrow(/has no tensor logitz; it has .*logits/);
  });
});
