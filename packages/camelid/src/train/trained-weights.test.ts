/** What a run of adapters goes on with: its own adapters, and the base that they were trained on. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeTinyModel } from "../../../../tests/tiny-model.js";
import { loadModel } from "../model/load.js";
import { saveModel } from "../model/save.js";
import type { Start } from "./start.js";
import { trainedWeights } from "./trained-weights.js";

const root = mkdtempSync(join(tmpdir(), "camelid-trained-weights-"));
afterAll(() => rmSync(root, { recursive: true }));
let base: string;
beforeAll(async () => {
  base = (await writeTinyModel(join(root, "tiny"))).model;
});

const lora = { rank: 2, alpha: 4, dropout: 0, targetModules: ["q_proj"] };
const from = (modelFolder: string, path: string): Pick<Start, "modelFolder" | "checkpoint"> => ({
  modelFolder,
  checkpoint: { path } as Start["checkpoint"],
});

test("a checkpoint of adapters goes on with its base, and not with a base of other weights", () => {
  const path = join(root, "checkpoint");
  using model = loadModel(base);
  trainedWeights(model, lora, { modelFolder: base, checkpoint: undefined }).save(path, new Map());
  using again = loadModel(base);
  expect(trainedWeights(again, lora, from(base, path)).parameters.size).toBe(4);

  const other = join(root, "trained-further");
  using changed = loadModel(base, { trainable: true });
  torch.noGrad(() => changed.headWeight.mul_(1.001));
  saveModel(changed, other);
  using wrong = loadModel(other);
  expect(() => trainedWeights(wrong, lora, from(other, path))).toThrow(
    expect.objectContaining({ code: "ERR_ADAPTER_BASE" }),
  );
});
