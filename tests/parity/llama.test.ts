import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { packRows } from "../../packages/camelid/src/nn/packed-rows.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import {
  backwardOfTokenMean,
  greedyWithCache,
  greedyWithoutCache,
  loadTinyLlama,
  logitsInStretches,
  packedLogits,
  packedTokenLogps,
  type TokenRow,
} from "./tiny-llama.js";

interface LlamaReference {
  rows: TokenRow[];
  loss: number;
  trained_tokens: number;
  greedy: { prompt_ids: number[]; output_ids: number[] }[];
  sensitivity: Record<string, number>;
  /** Root mean square distance of transformers' bf16 logits from its fp32 logits. */
  bf16_rms_error: number;
}

/** The promise of the project: fp32 logits equal transformers' within this, absolutely. */
const LOGITS = { atol: 1e-5, rtol: 0 };
const GRADIENTS = { atol: 1e-5, rtol: 1e-4 };
const MODELS = readdirSync(parityPath("llama/fixtures"));
const PACKED = "gqa-llama3-bf16-sharded-v4";

// The models are so small that threads only wait for each other.
beforeAll(() => torch.setNumThreads(1));

test("there is a model of every kind", () => {
  expect(MODELS.length).toBeGreaterThanOrEqual(8);
});

describe.each(MODELS)("%s", (name) => {
  const folder = `llama/fixtures/${name}`;
  const reference = readReferenceJson<LlamaReference>(`${folder}/reference.json`);
  const stored = readReferenceTensors(`${folder}/reference.safetensors`);
  const rows = reference.rows.map((row) => row.input_ids);

  test("logits equal those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(`${folder}/model`);
    packedLogits(model, rows).forEach((logits, row) => {
      expect(logits).toBeAllClose(stored.get(`logits.${row}`), LOGITS);
    });
  });

  test("in bf16 the logits are as close to fp32 as those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadModel(parityPath(`${folder}/model`), { dtype: "bfloat16" });
    let squares = 0;
    let count = 0;
    packedLogits(model, rows).forEach((logits, row) => {
      const exact = stored.get(`logits.${row}`).data;
      logits.toArray().forEach((value, i) => {
        squares += (value - exact[i]!) ** 2;
        count++;
      });
    });
    const error = Math.sqrt(squares / count);
    expect(error).toBeLessThan(1.25 * reference.bf16_rms_error);
    // Not by computing in fp32 after all.
    expect(error).toBeGreaterThan(0.3 * reference.bf16_rms_error);
  });

  test("every likely misreading of the folder would move the logits visibly", () => {
    expect(Object.keys(reference.sensitivity)).toContain("rms_norm_eps");
    for (const moved of Object.values(reference.sensitivity))
      expect(moved).toBeGreaterThan(100 * LOGITS.atol);
  });

  test("token log-probabilities equal those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(`${folder}/model`);
    packedTokenLogps(model, rows).forEach((logps, row) => {
      expect(logps).toBeAllClose(stored.get(`token_logps.${row}`), LOGITS);
    });
  });

  test("the masked loss and the gradient of every parameter equal those of transformers", () => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(`${folder}/model`, true);
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
    using model = loadTinyLlama(`${folder}/model`);
    for (const { prompt_ids, output_ids } of reference.greedy) {
      expect(greedyWithoutCache(model, prompt_ids, output_ids.length)).toEqual(output_ids);
      expect(greedyWithCache(model, prompt_ids, output_ids.length)).toEqual(output_ids);
    }
  });

  test("a saved copy loads with the same dtype, names and logits", () => {
    using _ = torch.tensorScope();
    const copy = mkdtempSync(join(tmpdir(), "camelid-parity-"));
    try {
      using original = loadModel(parityPath(`${folder}/model`));
      saveModel(original, copy, { shardBytes: 30_000 });
      using saved = loadModel(copy);
      expect(saved.dtype).toBe(original.dtype);
      expect([...saved.namedParameters().keys()]).toEqual([...original.namedParameters().keys()]);
      const shards = readdirSync(copy).filter((file) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(file));
      expect(shards.length).toBeGreaterThan(1);
      using wide = loadModel(copy, { dtype: "float32" });
      packedLogits(wide, rows).forEach((logits, row) => {
        expect(logits).toBeAllClose(stored.get(`logits.${row}`), LOGITS);
      });
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });
});

describe("rows packed into one sequence", () => {
  const reference = readReferenceJson<LlamaReference & { input_ids: number[]; position_ids: number[] }>(
    `llama/fixtures/${PACKED}/packed.json`,
  );
  const stored = readReferenceTensors(`llama/fixtures/${PACKED}/packed.safetensors`);
  const rows = reference.rows.map((row) => row.input_ids);
  const modelFolder = `llama/fixtures/${PACKED}/model`;

  test("lie end to end, and positions restart with each", () => {
    // Rotary positions are relative, so the logits alone would not show a wrong start.
    using _ = torch.tensorScope();
    const packed = packRows(rows, "cpu");
    expect(packed.inputIds.toArray()).toEqual(reference.input_ids);
    expect(packed.positions.toArray()).toEqual(reference.position_ids);
  });

  test("give the logits of each row alone", () => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(modelFolder);
    packedLogits(model, rows).forEach((logits, row) => {
      expect(logits).toBeAllClose(stored.get(`logits.${row}`), LOGITS);
    });
    expect(reference.sensitivity.attention_across_rows).toBeGreaterThan(100 * LOGITS.atol);
  });

  test("give the loss and gradients of the rows alone: no row predicts its neighbour's first token", () => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(modelFolder, true);
    const { loss, tokens } = backwardOfTokenMean(model, reference.rows);
    expect(tokens).toBe(reference.trained_tokens);
    expect(loss).toBeAllClose(reference.loss, { atol: 0, rtol: 2e-6 });
    for (const [parameter, expected] of stored.under("grad.")) {
      expect(model.namedParameters().get(parameter)!.grad!, parameter).toBeAllClose(expected, GRADIENTS);
    }
  });

  test("stay bit-identical when a neighbour changes", () => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(modelFolder);
    const before = packedLogits(model, rows);
    const perturbed = rows.map((row, index) => (index === 1 ? row.map((id) => (id + 7) % 128) : row));
    const after = packedLogits(model, perturbed);
    expect(after[0]!.equal(before[0]!)).toBe(true);
    expect(after[1]!.equal(before[1]!)).toBe(false);
    expect(after[2]!.equal(before[2]!)).toBe(true);
  });
});

test.each([[[40]], [[1, 39]], [[39, 1]], [[7, 1, 20, 12]], [Array(40).fill(1)]])(
  "a row that enters the cache in stretches of %j has the logits it has in one piece",
  (stretches) => {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(`llama/fixtures/${PACKED}/model`);
    const { rows } = readReferenceJson<LlamaReference>(`llama/fixtures/${PACKED}/reference.json`);
    const stored = readReferenceTensors(`llama/fixtures/${PACKED}/reference.safetensors`);
    const logits = logitsInStretches(model, rows[0]!.input_ids, stretches);
    expect(logits).toBeAllClose(stored.get("logits.0"), LOGITS);
  },
);

test("loading, computing and training leave no tensor behind", () => {
  const { liveTensors, liveBytes } = torch.memoryStats();
  {
    using _ = torch.tensorScope();
    using model = loadTinyLlama(`llama/fixtures/${PACKED}/model`, true);
    packedLogits(model, [[1, 5, 9]]);
    backwardOfTokenMean(model, [{ input_ids: [1, 5, 9], labels: [-100, 5, 9] }]);
    greedyWithCache(model, [1, 5, 9], 3);
  }
  expect(torch.memoryStats()).toMatchObject({ liveTensors, liveBytes });
});
