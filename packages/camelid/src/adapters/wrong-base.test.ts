/** An adapter that is put on a base it is not for, and settings that make none: what is said, and that nothing is left behind. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parityPath } from "../../../../tests/parity/reference.js";
import { loadModel } from "../model/load.js";
import { loadAdapter, readAdapterConfig } from "./adapter-file.js";
import { adaptersOf } from "./lora.js";

const root = mkdtempSync(join(tmpdir(), "camelid-wrong-base-"));
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

const stored = parityPath("lora/fixtures/adapter-all");
const other = parityPath("nf4-files/fixtures/double"); // hidden size 64 instead of 32
let copies = 0;

function changed(words: Record<string, unknown>): string {
  const folder = join(root, String(copies++));
  cpSync(stored, folder, { recursive: true });
  const path = join(folder, "adapter_config.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...words }));
  return folder;
}

test("of other shapes: the tensor is named, and the base in 4 bits stays without adapters", () => {
  using model = loadModel(other);
  const before = torch.memoryStats().liveTensors;
  expect(() => loadAdapter(model, stored)).toThrow(
    /not for this model: tensor "base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_A\.weight" has shape \[4,32\] instead of \[4,64\]/,
  );
  expect(adaptersOf(model)).toEqual([]);
  expect(torch.memoryStats().liveTensors).toBe(before);
});

test("of other projections: the name is said", () => {
  using model = loadModel(parityPath("lora/fixtures/base"));
  expect(() => loadAdapter(model, changed({ target_modules: ["query_key_value"] }))).toThrow(
    /no projection of the model is called query_key_value/,
  );
});

test("with fewer layers than the adapter: the tensor that has no place is named", () => {
  using model = loadModel(parityPath("lora/fixtures/base"));
  expect(() => loadAdapter(model, changed({ target_modules: ["q_proj"] }))).toThrow(
    /belongs to no projection/,
  );
});

test.each([
  ["rank 0", { r: 0 }, /^r: /],
  ["alpha 0", { lora_alpha: 0 }, /^lora_alpha: /],
  ["a dropout of 1", { lora_dropout: 1 }, /^lora_dropout: /],
  ["no target", { target_modules: [] }, /^target_modules: /],
  [
    "a quantisation of its base that is not known",
    { base_model_quantization: { type: "fp4" } },
    /^base_model_quantization/,
  ],
])("a folder with %s is refused by the field", (_, words, says) => {
  expect(() => readAdapterConfig(changed(words))).toThrow(
    expect.objectContaining({ code: "ERR_ADAPTER_CONFIG", message: expect.stringMatching(says) }),
  );
});
