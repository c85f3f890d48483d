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
import { equalsTransformers, LOGITS } from "./model-parity.js";
import { parityPath } from "./reference.js";
import {
  backwardOfTokenMean,
  greedyWithCache,
  loadTinyLlama as loadTiny,
  logitsInStretches,
  packedLogits,
} from "./tiny-llama.js";

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
  const { stored, rows } = equalsTransformers(folder);

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
