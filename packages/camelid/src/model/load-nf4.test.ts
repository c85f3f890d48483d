/** What loading a base in 4 bits costs in memory, and what it refuses. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Nf4Linear } from "../nn/nf4-linear.js";
import { parseConfig } from "./config.js";
import { initModel, loadModel } from "./load.js";
import { saveModel } from "./save.js";

const root = mkdtempSync(join(tmpdir(), "camelid-load-nf4-"));
const [whole, sharded] = [join(root, "whole"), join(root, "sharded")];
afterAll(() => rmSync(root, { recursive: true }));

/** 40 MB in bf16, nearly all of it in projections. */
const config = parseConfig({
  model_type: "qwen2", // queries, keys and values have biases
  vocab_size: 512,
  hidden_size: 512,
  intermediate_size: 1536,
  num_hidden_layers: 6,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
});
const quantize = { doubleQuant: true, throughFp16: false };
let bytes: number;

beforeAll(() => {
  torch.setNumThreads(1);
  torch.manualSeed(1);
  using model = initModel(config);
  bytes = [...model.namedParameters().values()].reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
  saveModel(model, whole);
  saveModel(model, sharded, { shardBytes: 8e6 });
});

test.each([
  ["one file", () => whole],
  ["shards", () => sharded],
])("%s: the base never takes half of its full size", (_, folder) => {
  torch.resetPeakMemory();
  const before = torch.memoryStats().liveBytes;
  using model = loadModel(folder(), { quantize, dtype: "float32" });
  const { liveBytes, peakBytes } = torch.memoryStats();
  expect(bytes).toBeGreaterThan(30e6);
  expect(liveBytes - before).toBeLessThan(0.3 * bytes);
  expect(peakBytes - before).toBeLessThan(0.5 * bytes);
  expect([...model.linears()].every((linear) => linear instanceof Nf4Linear)).toBe(true);
});

test("nor does the process: file pages count too", () => {
  const script = `
    import { readFileSync } from "node:fs";
    const { loadModel } = await import(${JSON.stringify(new URL("../../dist/model/load.js", import.meta.url).href)});
    const torch = await import("@camelid/torch");
    torch.setNumThreads(1);
    torch.nf4Quantize(torch.randn([64, 64])); // what is loaded once
    const high = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
    const before = high();
    const model = loadModel(process.argv[1], ${JSON.stringify({ quantize })});
    console.log(high() - before);
  `;
  const grown = (folder: string): number =>
    Number(
      execFileSync(process.execPath, ["--input-type=module", "-e", script, folder], {
        cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
      }).toString(),
    );
  // 12 MB of codes and an embedding; a part of the rest is libtorch's first use of things.
  expect(grown(whole)).toBeLessThan(0.8 * bytes);
});

test("biases stay as they are, and the model computes with restored weights", () => {
  using _ = torch.tensorScope();
  using model = loadModel(whole, { quantize });
  using dense = loadModel(whole);
  const parameters = dense.namedParameters();
  for (const linear of model.linears()) {
    const x = torch.randn([8, linear.inFeatures]).to({ dtype: "bfloat16" });
    const { weight } = linear as Nf4Linear;
    const bias = parameters.get(`${linear.name}.bias`);
    expect(bias !== undefined).toBe(/[qkv]_proj/.test(linear.name));
    expect(linear.forward(x).equal(torch.linear(x, weight.dequantize("bfloat16"), bias))).toBe(true);
  }
});

test("leaves no tensor behind", () => {
  const before = torch.memoryStats().liveTensors;
  loadModel(whole, { quantize })[Symbol.dispose]();
  expect(() => loadModel(whole, { quantize, trainable: true })).toThrow(/cannot be trained/);
  expect(torch.memoryStats().liveTensors).toBe(before);
});
