import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addLora, withoutAdapters } from "../../packages/camelid/src/adapters/lora.js";
import { mergeAdapters } from "../../packages/camelid/src/adapters/merge.js";
import { FAMILIES } from "../../packages/camelid/src/model/families.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import { packBranches } from "../../packages/camelid/src/nn/packed-rows.js";
import "../close.js";
import { parityPath, readReferenceJson, readReferenceTensors } from "./reference.js";
import {
  backwardOfTokenMean,
  greedyWithCache,
  greedyWithoutCache,
  loadTinyLlama as loadTiny,
  logitsInStretches,
  packedLogits,
  packedTokenLogps,
  type TokenRow,
} from "./tiny-llama.js";

interface FamilyReference {
  rows: TokenRow[];
  loss: number;
  trained_tokens: number;
  greedy: { prompt_ids: number[]; output_ids: number[] }[];
  sensitivity: Record<string, number>;
  bf16_rms_error: number;
}

const LOGITS = { atol: 1e-5, rtol: 0 };
const GRADIENTS = { atol: 1e-5, rtol: 1e-4 };
const MODELS = readdirSync(parityPath("families/fixtures"));

const scratch = mkdtempSync(join(tmpdir(), "camelid-families-"));
afterAll(() => rmSync(scratch, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

test("every family but Llama, which has a file of its own, has two models", () => {
  for (const family of FAMILIES.keys()) {
    if (family === "llama") continue;
    expect(
      MODELS.filter((name) => name.startsWith(`${family}-`)),
      family,
    ).toHaveLength(2);
  }
});

describe.each(MODELS)("%s", (name) => {
  const folder = `families/fixtures/${name}`;
  const reference = readReferenceJson<FamilyReference>(`${folder}/reference.json`);
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
    expect(Object.keys(reference.sensitivity)).not.toEqual([]);
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

  test.each([[[1, 39]], [[7, 1, 20, 12]], [[16, 24]], [Array(40).fill(1)]])(
    "a row that enters the cache in stretches of %j has the logits it has in one piece",
    (stretches) => {
      using _ = torch.tensorScope();
      using model = loadTiny(`${folder}/model`);
      expect(logitsInStretches(model, rows[0]!, stretches)).toBeAllClose(stored.get("logits.0"), LOGITS);
    },
  );

  test("rows with a common beginning have the logits they have alone", () => {
    using _ = torch.tensorScope();
    using model = loadTiny(`${folder}/model`);
    const [prefix, first, second] = [rows[0]!.slice(0, 25), rows[0]!.slice(25), rows[1]!];
    const branched = torch.noGrad(() =>
      torch.linear(
        model.hiddenStates(packBranches([{ prefix, rests: [first, second] }], "cpu")),
        model.headWeight,
      ),
    );
    expect(branched.narrow(0, 0, 40)).toBeAllClose(stored.get("logits.0"), LOGITS);
    const [, alone] = packedLogits(model, [rows[0]!, [...prefix, ...second]]);
    const expected = alone!.narrow(0, 25, second.length);
    expect(branched.narrow(0, 40, second.length)).toBeAllClose(
      { shape: expected.shape, data: Float32Array.from(expected.toArray()) },
      LOGITS,
    );
  });

  test("a saved copy has the config, dtype, names and logits of the original", () => {
    using _ = torch.tensorScope();
    const copy = join(scratch, name);
    using original = loadModel(parityPath(`${folder}/model`));
    saveModel(original, copy);
    using saved = loadModel(copy);
    expect(saved.config).toEqual(original.config);
    expect([...saved.namedParameters().keys()]).toEqual([...original.namedParameters().keys()]);
    using wide = loadModel(copy, { dtype: "float32" });
    packedLogits(wide, rows).forEach((logits, row) => {
      expect(logits).toBeAllClose(stored.get(`logits.${row}`), LOGITS);
    });
    const read = (at: string) => JSON.parse(readFileSync(join(at, "config.json"), "utf8"));
    const { architectures, model_type } = read(parityPath(`${folder}/model`));
    expect(read(copy)).toMatchObject({ architectures, model_type });
  });

  test("an adapter on it keeps the biases, is off when switched off, and merges away", () => {
    using _ = torch.tensorScope();
    using model = loadTiny(`${folder}/model`);
    const targetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    const adapter = addLora(model, { rank: 4, alpha: 8, dropout: 0, targetModules });
    torch.noGrad(() => {
      for (const { b } of adapter.pairs.values()) b.normal_(0, 0.1);
    });
    const [off] = withoutAdapters(model, () => packedLogits(model, rows));
    expect(off).toBeAllClose(stored.get("logits.0"), LOGITS);
    const [on] = packedLogits(model, rows);
    expect(on!.sub(off!).abs().amax().item()).toBeGreaterThan(0.1);
    expect(mergeAdapters(model, rows)).toBeLessThan(2e-5);
    const biases = [...model.namedParameters().keys()].filter((key) => key.endsWith(".bias"));
    expect(biases).toHaveLength(name.startsWith("qwen2") ? 3 * model.config.numHiddenLayers : 0);
  });
});

test("loading, computing and training leave no tensor behind", () => {
  const { liveTensors, liveBytes } = torch.memoryStats();
  for (const name of MODELS) {
    using _ = torch.tensorScope();
    using model = loadTiny(`families/fixtures/${name}/model`, true);
    backwardOfTokenMean(model, [{ input_ids: [1, 5, 9], labels: [-100, 5, 9] }]);
    greedyWithCache(model, [1, 5, 9], 3);
  }
  expect(torch.memoryStats()).toMatchObject({ liveTensors, liveBytes });
});
