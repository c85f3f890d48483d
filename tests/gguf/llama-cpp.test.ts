/** Exported GGUF files in llama.cpp itself. Skipped where tests/gguf is not installed; its README tells how. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportModel } from "../../packages/camelid/src/export/export-model.js";
import type { TensorType } from "../../packages/camelid/src/export/gguf/format.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { familyModel } from "../export/family-models.js";
import { greedyWithoutCache } from "../parity/tiny-llama.js";

const here = dirname(fileURLToPath(import.meta.url));
const isInstalled = existsSync(join(here, "node_modules/node-llama-cpp"));
const TYPES: readonly TensorType[] = ["f32", "f16", "bf16", "q8_0"];
const FAMILIES = [
  "llama",
  "llama3",
  "llama-spm",
  "llama-metaspace",
  "mistral",
  "qwen2",
  "qwen3",
  "olmo2",
] as const;

const root = mkdtempSync(join(tmpdir(), "camelid-llama-cpp-"));
afterAll(() => rmSync(root, { recursive: true }));
beforeAll(() => torch.setNumThreads(1));

describe.skipIf(!isInstalled).each(FAMILIES)("%s in llama.cpp", (family) => {
  let model: string;
  beforeAll(async () => {
    model = await familyModel(family, join(root, family));
  });

  test.each(TYPES)("as %s it reads the same ids and gives the same logits", async (type) => {
    const out = join(root, `${family}-${type}`);
    const { gguf, check } = await exportModel({ model, to: "gguf", type, out, llamaCppFrom: here });
    const { llamaCpp } = gguf!;
    expect(llamaCpp!.asked).toBeGreaterThanOrEqual(4);
    expect(llamaCpp!.sameIds).toBe(llamaCpp!.asked);
    expect(llamaCpp!.worst).toBeLessThan(type === "f32" ? 1e-4 : 0.1);
    if (type === "f32") expect(llamaCpp!.sameFirst).toBe(check.fixtures);
  });

  test("as f32 it decodes the same greedy tokens", async () => {
    const { getLlama } = await import(join(here, "node_modules/node-llama-cpp/dist/index.js"));
    const llama = await getLlama({
      gpu: false,
      build: "never",
      logLevel: "error",
      progressLogs: false,
      maxThreads: 1,
    });
    try {
      const loaded = await llama.loadModel({ modelPath: join(root, `${family}-f32`, `${family}-f32.gguf`) });
      const context = await loaded.createContext({
        contextSize: 128,
        experimentalKvCacheKeyType: "F32",
        experimentalKvCacheValueType: "F32",
      });
      const sequence = context.getSequence();
      const tokenizer = await loadTokenizer(model);
      using ours = loadModel(model, { dtype: "float32" });
      for (const text of ["A camel drinks", "the answer"]) {
        const prompt = await tokenizer.encode(text, { addSpecialTokens: true });
        const expected = greedyWithoutCache(ours, prompt, 24);
        await sequence.clearHistory();
        const decoded: number[] = [];
        for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
          decoded.push(token);
          if (decoded.length === expected.length) break;
        }
        expect(decoded).toEqual(expected.slice(0, decoded.length));
        expect(decoded.length).toBeGreaterThan(8);
      }
    } finally {
      await llama.dispose();
    }
  });
});
