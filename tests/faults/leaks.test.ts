/** Tensors are freed on purpose: live tensors and bytes return to their start around a training run and a generation. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@camelid/torch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rowLogprobs } from "../../packages/camelid/src/eval/row-logprobs.js";
import { generateOnce } from "../../packages/camelid/src/generate/generate-once.js";
import { loadModel } from "../../packages/camelid/src/model/load.js";
import { loadTokenizer } from "../../packages/camelid/src/tokenizer/tokenizer.js";
import { camelid } from "../cli/camelid.js";
import { type TinyModel, writeTinyModel } from "../tiny-model.js";

const root = mkdtempSync(join(tmpdir(), "camelid-leaks-"));
afterAll(() => rmSync(root, { recursive: true }));

let tiny: TinyModel;
let runs = 0;
beforeAll(async () => {
  torch.setNumThreads(1);
  tiny = await writeTinyModel(join(root, "tiny"), { rows: 16 });
  await sft("--max-steps", "1"); // what is made once and kept: kernels' own caches
});

const live = () => {
  const { liveTensors, liveBytes } = torch.memoryStats();
  return { liveTensors, liveBytes };
};

async function sft(...words: string[]): Promise<void> {
  const places = ["--model", tiny.model, "--data", tiny.data, "--out", join(root, `run-${runs++}`)];
  const run = await camelid("sft", ...places, "--threads", "1", ...words);
  expect(run.code, run.err).toBe(0);
}

test.each([
  ["fp32", ["--precision", "fp32", "--packing", "true"]],
  ["bf16, one row at a time", ["--precision", "bf16", "--packing", "false", "--grad-accum-steps", "4"]],
  ["bf16 with fp32 masters", ["--precision", "bf16-mixed", "--micro-batch-size", "4"]],
  ["fp32 with adapters on a base in 4 bits", ["--lora-rank", "4", "--quantize-type", "nf4"]],
  [
    "fp32 with 8-bit moments, updated in the backward pass",
    ["--optimizer", "adamw-8bit", "--optimizer-in-backward", "true", "--max-grad-norm", "none"],
  ],
])("a whole run in %s returns every tensor and byte", async (_, words) => {
  const before = live();
  await sft(...words, "--max-steps", "4");
  expect(live()).toEqual(before);
});

test("training holds the same at every step, and the peak does not grow with their number", async () => {
  const peaks: number[] = [];
  for (const steps of [4, 24]) {
    torch.resetPeakMemory();
    // The same rows at every step: all of them.
    await sft("--max-steps", String(steps), "--micro-batch-size", "16", "--max-seq-len", "256");
    peaks.push(torch.memoryStats().peakBytes);
  }
  expect(peaks[1]!).toBeLessThanOrEqual(peaks[0]! * 1.01);
});

test("a run that ends in an error returns them too", async () => {
  const broken = join(root, "broken");
  await writeTinyModel(broken, { rows: 16 });
  {
    using _ = torch.tensorScope();
    const path = join(broken, "model", "model.safetensors");
    const { tensors } = torch.readSafetensors(path, { copy: true });
    tensors.get("model.norm.weight")!.fill_(Number.NaN);
    torch.writeSafetensors(path, tensors, { format: "pt" });
  }
  const before = live();
  const words = ["sft", "--model", join(broken, "model"), "--data", tiny.data, "--threads", "1"];
  // Found before the first step, and in it.
  expect((await camelid(...words, "--out", join(root, "nan-1"))).code).toBe(2);
  expect(live()).toEqual(before);
  expect((await camelid(...words, "--out", join(root, "nan-2"), "--preflight", "false")).code).toBe(1);
  expect(live()).toEqual(before);
});

test("the commands that only look return every tensor and byte", async () => {
  const prompts = join(root, "prompts.jsonl");
  writeFileSync(
    prompts,
    '{"prompt":"a camel"}\n{"prompt":""}\n{"messages":[{"role":"user","content":"x"}]}\n',
  );
  const before = live();
  for (const words of [
    ["logprobs", "--data", tiny.data, "--micro-batch-size", "4"],
    ["generate", "--prompts", prompts, "--max-new-tokens", "8", "--batch-size", "2"],
  ]) {
    const run = await camelid(
      ...words,
      "--model",
      tiny.model,
      "--out",
      join(root, "out.jsonl"),
      "--threads",
      "1",
    );
    expect(run.code, run.err).toBe(0);
    expect(live()).toEqual(before);
  }
});

test("a loaded model holds the same before and after it computes, also when the caller stops or fails halfway", async () => {
  using model = loadModel(tiny.model);
  const before = live();
  const tokenizer = await loadTokenizer(tiny.model);
  const requests = [[1, 20], [1], [1, 40, 41, 42]].map((promptIds) => ({ promptIds, maxNewTokens: 12 }));
  await generateOnce(model, tokenizer, requests, { settings: { maxSequences: 2 } });
  expect(live()).toEqual(before);
  rowLogprobs(model, [{ inputIds: [1, 20, 21], labels: [-100, 20, 21] }]);
  expect(live()).toEqual(before);

  const stop = new AbortController();
  const onProgress = ({ tokens }: { tokens: number }) => {
    if (tokens > 6) stop.abort();
  };
  await generateOnce(model, tokenizer, requests, { signal: stop.signal, onProgress });
  expect(live()).toEqual(before);
  const failing = () => {
    throw new Error("the reader hung up");
  };
  await expect(generateOnce(model, tokenizer, requests, { onProgress: failing })).rejects.toThrow("hung up");
  expect(live()).toEqual(before);
  expect(() => rowLogprobs(model, [{ inputIds: [1, 9999], labels: [-100, -100] }])).toThrow();
  expect(live()).toEqual(before);
});

test("a model that cannot be loaded leaves nothing behind", async () => {
  const folder = join(root, "no-norm");
  const { model } = await writeTinyModel(folder, { rows: 4 });
  writeFileSync(join(model, "model.safetensors"), "x");
  const before = live();
  expect(() => loadModel(model)).toThrow();
  expect(live()).toEqual(before);
});
