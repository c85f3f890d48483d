/**
 * What a model folder has to give to equal transformers, whose numbers lie beside it (`reference.json`, `reference.safetensors`).
 */
import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import {
  backwardOfTokenMean,
  greedyWithCache,
  greedyWithoutCache,
  loadTinyLlama as loadTiny,
  packedLogits,
  packedTokenLogps,
  type TokenRow,
} from "./tiny-llama.js";

export interface ModelReference {
  rows: TokenRow[];
  loss: number;
  trained_tokens: number;
  greedy: { prompt_ids: number[]; output_ids: number[] }[];
  /** How far the logits move where a field of the folder is misread. */
  sensitivity: Record<string, number>;
  /** Root mean square distance of transformers' bf16 logits from its fp32 logits. */
  bf16_rms_error: number;
}

/** The promise of the project: fp32 logits equal transformers' within this, absolutely. */
export const LOGITS = { atol: 1e-5, rtol: 0 };
export const GRADIENTS = { atol: 1e-5, rtol: 1e-4 };

/** Inside a `describe`: the tests that every folder has to pass. @returns what further tests of it need */
export function equalsTransformers(folder: string) {
  const reference = readReferenceJson<ModelReference>(`${folder}/reference.json`);
  const stored = readReferenceTensors(`${folder}/reference.safetensors`);
  const rows = reference.rows.map((row) => row.input_ids);

  test("logits and token log-probabilities equal those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadTiny(`${folder}/model`);
    packedLogits(model, rows).forEach((logits, row) => {
      expect(logits).toBeAllClose(stored.get(`logits.${row}`), LOGITS);
    });
    packedTokenLogps(model, rows).forEach((logps, row) => {
      expect(logps).toBeAllClose(stored.get(`token_logps.${row}`), LOGITS);
    });
  });

  test("every likely misreading of the folder would move the logits visibly", () => {
    expect(Object.keys(reference.sensitivity)).toContain("rms_norm_eps");
    for (const moved of Object.values(reference.sensitivity))
      expect(moved).toBeGreaterThan(100 * LOGITS.atol);
  });

  test("in bf16 the logits are as close to fp32 as those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadModel(parityPath(`${folder}/model`), { dtype: "bfloat16" });
    const squares = packedLogits(model, rows).flatMap((logits, row) => {
      const exact = stored.get(`logits.${row}`).data;
      return logits.toArray().map((value, i) => (value - exact[i]!) ** 2);
    });
    const error = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
    expect(error).toBeLessThan(1.25 * reference.bf16_rms_error);
    // Not by computing in fp32 after all.
    expect(error).toBeGreaterThan(0.3 * reference.bf16_rms_error);
  });

  test("the masked loss and the gradient of every parameter equal those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadTiny(`${folder}/model`, true);
    const { loss, tokens } = backwardOfTokenMean(model, reference.rows);
    expect(tokens).toBe(reference.trained_tokens);
    expect(loss).toBeAllClose(reference.loss, { atol: 0, rtol: 2e-6 });
    const gradients = stored.under("grad.");
    expect([...model.namedParameters().keys()].sort()).toEqual([...gradients.keys()].sort());
    for (const [parameter, expected] of gradients) {
      expect(model.namedParameters().get(parameter)!.grad!, parameter).toBeAllClose(expected, GRADIENTS);
    }
  });

  test("greedy tokens equal those of transformers, with and without a cache", () => {
    using model = loadTiny(`${folder}/model`);
    for (const { prompt_ids, output_ids } of reference.greedy) {
      expect(greedyWithoutCache(model, prompt_ids, output_ids.length)).toEqual(output_ids);
      expect(greedyWithCache(model, prompt_ids, output_ids.length)).toEqual(output_ids);
    }
  });

  return { stored, rows };
}
