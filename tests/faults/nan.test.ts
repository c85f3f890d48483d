/** A number that is not finite stops the run before anything is lost, and the error says where it came from. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import {
  accumulateSft,
  adamw,
  addLora,
  LossMeter,
  loadModel,
  loadTokenizer,
  locateNaN,
  packRows,
  type RecipeContext,
  readTrainRows,
  withoutAdapters,
} from "camelid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withDropout } from "../../packages/camelid/src/adapters/lora.js";
import { saveModel } from "../../packages/camelid/src/model/save.js";
import * as sft from "../../recipes/sft.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-nan-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let tiny: TinyModel;
beforeAll(async () => {
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 8 });
});

const MIDDLE = "model.layers.1.mlp.up_proj";

/** The tiny model with one value of one weight exchanged. */
function planted(weight: string, value: number) {
  const model = loadModel(tiny.model, { trainable: true });
  model.namedParameters().get(weight)!.detach().view([-1]).narrow(0, 5, 1).fill_(value);
  return model;
}

async function locate(model: ReturnType<typeof planted>): Promise<string | undefined> {
  const { rows, sources } = await readTrainRows(tiny.data, await loadTokenizer(tiny.model), {
    onBad: "error",
  });
  using meter = new LossMeter(sources, "cpu");
  return locateNaN(model, () => accumulateSft(model, rows, 1, meter));
}

describe.each([Number.NaN, Number.POSITIVE_INFINITY])("a weight that is %s", (value) => {
  test("in a middle layer is named, with the layer", async () => {
    using model = planted(`${MIDDLE}.weight`, value);
    expect(await locate(model)).toBe(`the output of ${MIDDLE} (weight: 1 of 2048 values not finite)`);
  });

  test("in a norm is found in what follows it", async () => {
    using model = planted("model.layers.1.input_layernorm.weight", value);
    expect(await locate(model)).toBe(
      "what goes into model.layers.1.self_attn.q_proj, after model.layers.0.mlp.down_proj",
    );
  });

  test("behind the last layer is named", async () => {
    using model = planted("model.norm.weight", value);
    expect(await locate(model)).toBe("model.norm.weight (1 of 32 values not finite)");
  });
});

test("a gradient that overflows although every output is finite is named by its weight", () => {
  using model = loadModel(tiny.model, { trainable: true });
  const found = locateNaN(model, () => {
    using _ = torch.tensorScope();
    const hidden = model.hiddenStates(packRows([Int32Array.of(1, 5, 6, 7)], "cpu"));
    hidden.sum().mul(1e30).mul(1e30).backward();
  });
  expect(found).toMatch(/^the gradient of model\.norm\.weight \(.*\), with every output finite$/);
});

describe("with adapters on the model", () => {
  const lora = { rank: 2, alpha: 4, dropout: 0.1, targetModules: ["q_proj", "v_proj", "up_proj"] };

  test("a broken weight is named, and the adapters are as they were", async () => {
    using model = planted(`${MIDDLE}.weight`, Number.NaN);
    addLora(model, lora);
    const before = [...model.linears()];
    expect(await locate(model)).toBe(`the output of ${MIDDLE} (weight: 1 of 2048 values not finite)`);
    expect([...model.linears()]).toEqual(before);
  });

  test("the passes that are done again go through the adapters as the step did: on, off, with dropout", () => {
    using model = loadModel(tiny.model);
    const adapter = addLora(model, lora);
    const seen: unknown[] = [];
    locateNaN(model, () => {
      withDropout(model, () => seen.push(adapter.drops));
      withoutAdapters(model, () => seen.push(adapter.enabled));
    });
    expect(seen).toEqual([true, false]);
  });

  test("a gradient that is not finite is named by the adapter's matrix", () => {
    using model = loadModel(tiny.model);
    addLora(model, lora);
    const found = locateNaN(model, () => {
      using _ = torch.tensorScope();
      const hidden = model.hiddenStates(packRows([Int32Array.of(1, 5, 6, 7)], "cpu"));
      hidden.sum().mul(1e30).mul(1e30).backward();
    });
    expect(found).toMatch(/^the gradient of .*up_proj\.lora_[AB]\.weight \(.*\), with every output finite$/);
  });
});

test("nothing is found where nothing is wrong, and the model is as it was", async () => {
  using model = loadModel(tiny.model, { trainable: true });
  const before = [...model.linears()];
  expect(await locate(model)).toBeUndefined();
  expect([...model.linears()]).toEqual(before);
});

test("a gradient norm that is not finite changes no weight", () => {
  using weight = torch.tensor([1, 2, 3]);
  weight.requiresGrad = true;
  using optimizer = adamw(new Map([["w", weight]]), { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.1 });
  using broken = torch.tensor([1, Number.NaN, 1]);
  weight.grad = broken;
  using norm = optimizer.update(1e-2, 1);
  expect(norm.item()).toBeNaN();
  expect(weight.toArray()).toEqual([1, 2, 3]);
});

test("a run stops with step, source, rows and layer, and saves nothing", async () => {
  const folder = join(root, "broken-model");
  using model = planted(`${MIDDLE}.weight`, Number.NaN);
  saveModel(model, folder);
  const { cpSync } = await import("node:fs");
  for (const file of ["tokenizer.json", "tokenizer_config.json"])
    cpSync(join(tiny.model, file), join(folder, file));
  const out = join(root, "run");
  const settings = sft.settings.parse({
    ...{ model: folder, data: tiny.data, out, threads: 1, preflight: false },
    ...{ microBatchSize: 2, gradAccumSteps: 2 },
  });
  const { signal } = new AbortController();
  const context: RecipeContext = { recipe: "sft", origins: {}, output: "silent", resume: false, signal };
  await expect(sft.run(settings, context)).rejects.toMatchObject({
    code: "ERR_NAN",
    message: expect.stringContaining(
      `step 1; the first that is not finite is the output of ${MIDDLE} (weight: 1`,
    ),
    where: expect.stringMatching(/^source .*; rows row-\d/),
  });
  expect(existsSync(join(out, "final"))).toBe(false);
});
