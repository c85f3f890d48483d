import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parityPath } from "../../../../tests/parity/reference.js";
import { loadTinyLlama, packedLogits } from "../../../../tests/parity/tiny-llama.js";
import { folderWeightsHash } from "../model/weights-hash.js";
import { loadAdapter } from "./adapter-file.js";
import { loadAdaptedModel } from "./load-adapted.js";

const root = mkdtempSync(join(tmpdir(), "camelid-adapted-"));
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

const base = parityPath("lora/fixtures/base");
const rows = [[1, 55, 51, 15, 49]];
let folders = 0;
/** A copy of a stored adapter with other words in its configuration. */
function adapter(words: Record<string, unknown>): string {
  const folder = join(root, `adapter-${folders++}`);
  cpSync(parityPath("lora/fixtures/adapter-all"), folder, { recursive: true });
  const path = join(folder, "adapter_config.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...words }));
  return folder;
}

test("an adapter folder loads as its base with the adapter on it, a model folder as the model", () => {
  using _ = torch.tensorScope();
  using expected = loadTinyLlama("lora/fixtures/base");
  using plain = loadAdaptedModel(base);
  expect(packedLogits(plain, rows)[0]!.equal(packedLogits(expected, rows)[0]!)).toBe(true);
  loadAdapter(expected, parityPath("lora/fixtures/adapter-all"));
  const words = { base_model_name_or_path: base, base_model_sha256: folderWeightsHash(base) };
  using model = loadAdaptedModel(adapter(words));
  expect(packedLogits(model, rows)[0]!.equal(packedLogits(expected, rows)[0]!)).toBe(true);
});

test("the base is found from the adapter's folder too", () => {
  cpSync(base, join(root, "base"), { recursive: true });
  using model = loadAdaptedModel(adapter({ base_model_name_or_path: "../base" }));
  expect(model.config.vocabSize).toBe(96);
});

describe("is refused", () => {
  test.each([
    ["without the name of its base", { base_model_name_or_path: null }, /does not say/],
    ["when its base is not there", { base_model_name_or_path: "nobody/nothing" }, /no base model "nobody/],
    [
      "on a base of other weights",
      { base_model_name_or_path: base, base_model_sha256: "0".repeat(64) },
      /not the one that the adapter was trained on/,
    ],
  ])("%s", (_name, words, says) => {
    const before = torch.memoryStats().liveTensors;
    expect(() => loadAdaptedModel(adapter(words))).toThrow(says);
    expect(torch.memoryStats().liveTensors).toBe(before);
  });
});
