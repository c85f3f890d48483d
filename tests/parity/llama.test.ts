import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { packRows } from "../../packages/camelid/src/nn/packed-rows.js";
import "../close.js";
import { equalsTransformers, GRADIENTS, LOGITS, type ModelReference } from "./model-parity.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import {
  backwardOfTokenMean,
  greedyWithCache,
  loadTinyLlama,
  logitsInStretches,
  packedLogits,
} from "./tiny-llama.js";

const MODELS = readdirSync(parityPath("llama/fixtures"));
const PACKED = "gqa-llama3-bf16-sharded-v4";

// The models are so small that threads only wait for each other.
beforeAll(() => torch.setNumThreads(1));

test("there is a model of every kind", () => {
  expect(MODELS.length).toBeGreaterThanOrEqual(8);
});

describe.each(MODELS)("%s", (name) => {
  const folder = `llama/fixtures/${name}`;
  const { stored, rows } = equalsTransformers(folder);

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
  const reference = readReferenceJson<ModelReference & { input_ids: number[]; position_ids: number[] }>(
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
    const { rows } = readReferenceJson<ModelReference>(`llama/fixtures/${PACKED}/reference.json`);
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
